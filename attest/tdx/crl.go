package tdx

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// maxCRL bounds a list in bytes. That of the platform authority had 3.4 kB in 2026.
const maxCRL = 1 << 20

// CRL is a list of revoked certificates, made by [ParseCRL]. It is immutable. Its signature
// has not been verified.
type CRL struct{ list *x509.RevocationList }

// ParseCRL parses a list as DER, PEM or hexadecimal digits, which Intel's service and caches
// of it return. The error wraps [ErrCollateralMalformed].
func ParseCRL(data []byte) (*CRL, error) {
	if len(data) > maxCRL {
		return nil, fmt.Errorf("%w: CRL: %d bytes are more than %d", ErrCollateralMalformed, len(data), maxCRL)
	}
	der := data
	text := bytes.TrimSpace(data)
	if block, rest := pem.Decode(text); block != nil && block.Type == "X509 CRL" && len(bytes.TrimSpace(rest)) == 0 {
		der = block.Bytes
	} else if decoded, err := hex.DecodeString(string(text)); err == nil {
		der = decoded
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("%w: CRL: %w", ErrCollateralMalformed, err)
	}
	return &CRL{list}, nil
}

// Issuer returns the common name of the authority.
func (c *CRL) Issuer() string { return c.list.Issuer.CommonName }

// Valid returns the times between which the list is valid.
func (c *CRL) Valid() (from, to time.Time) { return c.list.ThisUpdate, c.list.NextUpdate }

// Revoked returns the number of revoked certificates.
func (c *CRL) Revoked() int { return len(c.list.RevokedCertificateEntries) }

// IsRoot reports whether the list is named as that of Intel's root.
func (c *CRL) IsRoot() bool { return c.Issuer() == rootName }

// IsPCK reports whether the list is named as that of an authority of PCK certificates.
func (c *CRL) IsPCK() bool { return c.Issuer() == platformCA || c.Issuer() == processorCA }

func (c *CRL) authenticate(name string, issuer *x509.Certificate) error {
	if c == nil {
		return nil
	}
	switch {
	case !bytes.Equal(c.list.RawIssuer, issuer.RawSubject):
		return fmt.Errorf("%s is of %q, want %q", name, c.Issuer(), issuer.Subject.CommonName)
	case c.list.SignatureAlgorithm != x509.ECDSAWithSHA256:
		return fmt.Errorf("%s is signed with %s, want %s", name, c.list.SignatureAlgorithm, x509.ECDSAWithSHA256)
	case c.list.NextUpdate.IsZero():
		return errors.New(name + " does not say until when it is valid")
	}
	if err := checkCritical(c.list); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := c.list.CheckSignatureFrom(issuer); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// checkCritical refuses critical extensions, such as that of a list which holds only some of
// the certificates. Intel's lists have none.
func checkCritical(list *x509.RevocationList) error {
	for _, extension := range list.Extensions {
		if extension.Critical {
			return fmt.Errorf("it has the unknown critical extension %s", extension.Id)
		}
	}
	return nil
}

// check returns an error if the certificate is in the list. Nothing is in a nil list.
func (c *CRL) check(certificate *x509.Certificate) error {
	if c == nil || certificate == nil {
		return nil
	}
	for _, entry := range c.list.RevokedCertificateEntries {
		if bytes.Equal(certificate.RawIssuer, c.list.RawIssuer) && entry.SerialNumber.Cmp(certificate.SerialNumber) == 0 {
			return fmt.Errorf("certificate %q with serial number %x was revoked at %s", certificate.Subject.CommonName,
				certificate.SerialNumber, entry.RevocationTime.UTC().Format(time.RFC3339))
		}
	}
	return nil
}
