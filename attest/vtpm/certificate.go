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

// aikUsage is the extended key usage of an AK's certificate, tcg-kp-AIKCertificate (OID
// 2.23.133.8.3 of the TCG registry).
var aikUsage = asn1.ObjectIdentifier{2, 23, 133, 8, 3}

// maxCertificate bounds the NV index in bytes. Azure's has 4096.
const maxCertificate = 64 << 10

// AKCertificate is Azure's certificate of an attestation key. ParseAKCertificate and
// NewAKCertificate make it. Nothing in it has been verified.
type AKCertificate struct{ certificate *x509.Certificate }

// ParseAKCertificate parses the content of the NV index 0x01C101D0: DER, followed by zeros.
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

// NewAKCertificate returns a parsed certificate as an AKCertificate. It refuses certificates
// that are not for an attestation key.
func NewAKCertificate(certificate *x509.Certificate) (*AKCertificate, error) {
	if !IsAK(certificate) {
		return nil, fmt.Errorf("reading the AK certificate: %q is not for a TPM's attestation key", certificate.Subject.CommonName)
	}
	if _, ok := certificate.PublicKey.(*rsa.PublicKey); !ok {
		return nil, errors.New("reading the AK certificate: its key is not RSA")
	}
	return &AKCertificate{certificate}, nil
}

// IsAK reports whether the certificate says that it is for a TPM's attestation key.
func IsAK(certificate *x509.Certificate) bool {
	return !certificate.IsCA && slices.ContainsFunc(certificate.UnknownExtKeyUsage, aikUsage.Equal)
}

// Key returns the public attestation key.
func (a *AKCertificate) Key() *rsa.PublicKey {
	key, _ := a.certificate.PublicKey.(*rsa.PublicKey) // NewAKCertificate checks the type
	return key
}

// Certificate returns the certificate. The caller must not change it.
func (a *AKCertificate) Certificate() *x509.Certificate { return a.certificate }

// Verify checks that the certificate leads to one of roots at the time now, through Azure's
// intermediates or those that came with the evidence. Its error wraps [ErrCertificate]. On a
// confidential VM this proves little, because a guest could have its own key certified
// (CVE-2025-49707). There, use [Claims.AK] instead.
func (a *AKCertificate) Verify(roots *Roots, brought []*x509.Certificate, now time.Time) error {
	intermediates := roots.intermediates.Clone()
	for _, certificate := range brought {
		intermediates.AddCert(certificate)
	}
	_, err := a.certificate.Verify(x509.VerifyOptions{
		Roots: roots.pool, Intermediates: intermediates, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, // Go does not know the usage; IsAK checks it
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return nil
}
