package vtpm

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Certification is a TPMS_ATTEST of the type certify. It states that a key is in the TPM of
// the attestation key that signs it. It is made only by ParseCertification and is immutable.
type Certification struct {
	statement

	name []byte // of the key (TPM2, section TPM2B_NAME)
}

// ParseCertification parses a TPMS_ATTEST without a size, and its signature: a
// TPMT_SIGNATURE, or the bare RSA number.
func ParseCertification(attest, signature []byte) (*Certification, error) {
	c, err := parseCertification(attest, signature)
	if err != nil {
		return nil, fmt.Errorf("parsing the certification of a key: %w", err)
	}
	return c, nil
}

func parseCertification(attest, signature []byte) (*Certification, error) {
	if len(attest) > maxStatement {
		return nil, fmt.Errorf("it has more than %d bytes", maxStatement)
	}
	var certified Certification
	c, err := certified.parse(attest, attestCertify)
	if err != nil {
		return nil, err
	}
	certified.name = c.sized()
	c.sized() // qualifiedName, which depends on the hierarchy
	if err := c.end(); err != nil {
		return nil, err
	}
	certified.signature, err = parseSignature(signature)
	return &certified, err
}

// VerifySignature checks that ak signed it, with RSASSA-PKCS1-v1_5 and SHA-256. Its error
// wraps [ErrSignature].
func (c *Certification) VerifySignature(ak *rsa.PublicKey) error {
	if err := c.verify(ak); err != nil {
		return fmt.Errorf("verifying the certification of a key: %w", err)
	}
	return nil
}

// CheckKey checks that it is about the key with this public area, a TPM2B_PUBLIC whose name
// uses SHA-256 (TPM2, part 1, section "Names"). Its error wraps [ErrCertifiedKey].
func (c *Certification) CheckKey(area []byte) error {
	outer := cursor{rest: area, order: binary.BigEndian}
	public := outer.sized()
	if err := outer.end(); err != nil {
		return fmt.Errorf("%w: its public area: %w", ErrCertifiedKey, err)
	}
	sum := sha256.Sum256(public)
	name := append(binary.BigEndian.AppendUint16(nil, algorithmHash), sum[:]...)
	if !bytes.Equal(name, c.name) {
		return fmt.Errorf("%w: the certification is of another key", ErrCertifiedKey)
	}
	return nil
}
