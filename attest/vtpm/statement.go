package vtpm

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Numbers of TPM2, sections TPM_GENERATED, TPM_ST and TPM_ALG_ID.
const (
	tpmGenerated  = 0xff544347
	attestCertify = 0x8017
	attestQuote   = 0x8018
	algorithmRSA  = 0x0014 // TPM_ALG_RSASSA
	algorithmHash = 0x000b // TPM_ALG_SHA256
	algorithmSHA1 = 0x0004 // TPM_ALG_SHA1
	maxStatement  = 4 << 10
)

var kinds = map[uint16]string{attestCertify: "a certification", attestQuote: "a quote"}

// Clock is the time of a statement by the TPM's own counters (TPM2, section TPMS_CLOCK_INFO).
type Clock struct {
	Milliseconds uint64 // of operation since the TPM was made
	ResetCount   uint32 // number of starts of the machine
	RestartCount uint32 // number of resumptions since then
	Safe         bool   // Milliseconds has not gone back
	Firmware     uint64
}

// statement is a TPMS_ATTEST, with or without a signature.
type statement struct {
	attest    []byte // the signed bytes
	signature []byte // RSASSA; nil if there is none
	nonce     []byte
	clock     Clock
}

// parse parses the common beginning of all kinds of TPMS_ATTEST (TPM2, section TPMS_ATTEST).
// It returns a cursor at the attested data.
func (s *statement) parse(attest []byte, kind uint16) (*cursor, error) {
	s.attest = bytes.Clone(attest)
	c := &cursor{rest: s.attest, order: binary.BigEndian}
	if magic := c.u32(); magic != tpmGenerated {
		return nil, fmt.Errorf("its magic is %#x, want %#x: no TPM has made it", magic, uint32(tpmGenerated))
	}
	if got := c.u16(); got != kind {
		return nil, fmt.Errorf("its type is %#x, want %#x, %s", got, kind, kinds[kind])
	}
	c.sized() // qualifiedSigner, a name that only the TPM can compute
	s.nonce = c.sized()
	s.clock = Clock{Milliseconds: c.u64(), ResetCount: c.u32(), RestartCount: c.u32(), Safe: c.u8() == 1}
	s.clock.Firmware = c.u64()
	return c, c.err
}

// parseSignature parses a TPMT_SIGNATURE, or the bare RSA number.
func parseSignature(signature []byte) ([]byte, error) {
	c := cursor{rest: signature, order: binary.BigEndian}
	algorithm, hash := c.u16(), c.u16()
	bare := c.sized()
	switch {
	case len(signature) == 256 || len(signature) == 384 || len(signature) == 512: // a TPMT_SIGNATURE has 6 bytes more
		return bytes.Clone(signature), nil
	case c.end() != nil:
		return nil, fmt.Errorf("it is no TPMT_SIGNATURE: %w", c.end())
	case algorithm != algorithmRSA || hash != algorithmHash:
		return nil, fmt.Errorf("its algorithms are %#x and %#x, want %#x and %#x, RSASSA and SHA-256", algorithm, hash, algorithmRSA, algorithmHash)
	}
	return bytes.Clone(bare), nil
}

// verify checks that ak signed the statement, with RSASSA-PKCS1-v1_5 and SHA-256.
func (s *statement) verify(ak *rsa.PublicKey) error {
	if s.signature == nil {
		return fmt.Errorf("%w: there is no signature", ErrSignature)
	}
	sum := sha256.Sum256(s.attest)
	if err := rsa.VerifyPKCS1v15(ak, crypto.SHA256, sum[:], s.signature); err != nil {
		return ErrSignature
	}
	return nil
}
