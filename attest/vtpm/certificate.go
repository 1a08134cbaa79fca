package vtpm

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

// aikUsage is the extended key usage of an AK's certificate, tcg-kp-AIKCertificate
// (OID 2.23.133.8.3 of the TCG registry).
var aikUsage = asn1.ObjectIdentifier{2, 23, 133, 8, 3}

// maxCertificate bounds an NV index; Azure's has 4096 bytes.
const maxCertificate = 64 << 10

// AKCertificate is what Azure says of an attestation key. It is made only by
// ParseAKCertificate. Nothing in it has been verified.
type AKCertificate struct{ certificate *x509.Certificate }

// ParseAKCertificate reads the content of the NV index 0x01C101D0: DER, and zeros
// to the end of the index.
func ParseAKCertificate(index []byte) (*AKCertificate, error) {
	if len(index) > maxCertificate {
		return nil, fmt.Errorf("parsing the AK certificate: it has more than %d bytes", maxCertificate)
	}
	var outer asn1.RawValue
	rest, err := asn1.Unmarshal(index, &outer)
	if err != nil || len(bytes.Trim(rest, "\x00")) > 0 {
		return nil, errors.New("parsing the AK certificate: it is not DER that zeros follow")
	}
	certificate, err := x509.ParseCertificate(outer.FullBytes)
	if err != nil {
		return nil, fmt.Errorf("parsing the AK certificate: %w", err)
	}
	return NewAKCertificate(certificate)
}

// NewAKCertificate takes a certificate that was parsed. Its error says that it is
// not for an attestation key.
func NewAKCertificate(certificate *x509.Certificate) (*AKCertificate, error) {
	if !IsAK(certificate) {
		return nil, fmt.Errorf("reading the AK certificate: %q is not for a TPM's attestation key", certificate.Subject.CommonName)
	}
	if _, ok := certificate.PublicKey.(*rsa.PublicKey); !ok {
		return nil, errors.New("reading the AK certificate: its key is not RSA")
	}
	return &AKCertificate{certificate}, nil
}

// IsAK says whether the certificate is for a TPM's attestation key, by its own word.
func IsAK(certificate *x509.Certificate) bool {
	return !certificate.IsCA && slices.ContainsFunc(certificate.UnknownExtKeyUsage, aikUsage.Equal)
}

// Key is the public half of the attestation key.
func (a *AKCertificate) Key() *rsa.PublicKey {
	key, _ := a.certificate.PublicKey.(*rsa.PublicKey) // NewAKCertificate has looked
	return key
}

// Certificate is the certificate itself. The caller must not change it.
func (a *AKCertificate) Certificate() *x509.Certificate { return a.certificate }

// Verify says whether the certificate leads to one of roots at the time now, by
// Azure's intermediates or those that came with the evidence. On a confidential VM
// that proves little, since a guest could have a key of its own certified
// (CVE-2025-49707): there trust HCLAkPub.
func (a *AKCertificate) Verify(roots *Roots, brought []*x509.Certificate, now time.Time) error {
	intermediates := roots.intermediates.Clone()
	for _, certificate := range brought {
		intermediates.AddCert(certificate)
	}
	_, err := a.certificate.Verify(x509.VerifyOptions{
		Roots: roots.pool, Intermediates: intermediates, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, // Go does not know the usage, IsAK does
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return nil
}
