package tdx

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

const (
	certificateBlock = "CERTIFICATE"
	maxCertificates  = 16
)

// parseCertificates parses PEM with nothing but certificates.
func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for len(bytes.TrimSpace(text)) > 0 {
		text = bytes.TrimSpace(text)
		block, rest := pem.Decode(text)
		if block == nil || block.Type != certificateBlock || len(block.Headers) > 0 || !bytes.HasPrefix(text, []byte("-----BEGIN ")) {
			return nil, errors.New("it is not PEM of certificates alone")
		}
		if len(all) == maxCertificates {
			return nil, fmt.Errorf("there are more than %d certificates", maxCertificates)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(all)+1, err)
		}
		all, text = append(all, certificate), rest
	}
	return all, nil
}

// checkLink checks that parent issued child: the names, that parent is an authority, and the
// signature by ECDSA with SHA-256, the only algorithm that Intel uses.
func checkLink(child, parent *x509.Certificate) error {
	switch {
	case !bytes.Equal(child.RawIssuer, parent.RawSubject):
		return fmt.Errorf("%q is issued by %q, not by %q", child.Subject.CommonName, child.Issuer.CommonName, parent.Subject.CommonName)
	case !parent.BasicConstraintsValid || !parent.IsCA:
		return fmt.Errorf("%q, the issuer of %q, is no certificate authority", parent.Subject.CommonName, child.Subject.CommonName)
	case child.SignatureAlgorithm != x509.ECDSAWithSHA256:
		return fmt.Errorf("%q is signed with %s, want %s", child.Subject.CommonName, child.SignatureAlgorithm, x509.ECDSAWithSHA256)
	case len(child.UnhandledCriticalExtensions) > 0:
		return fmt.Errorf("%q has the unknown critical extension %s", child.Subject.CommonName, child.UnhandledCriticalExtensions[0])
	}
	if err := child.CheckSignatureFrom(parent); err != nil {
		return fmt.Errorf("%q: %w", child.Subject.CommonName, err)
	}
	return nil
}

func checkValidity(certificate *x509.Certificate, now time.Time) error {
	if now.Before(certificate.NotBefore) || now.After(certificate.NotAfter) {
		return fmt.Errorf("certificate %q is valid %s, not at %s", certificate.Subject.CommonName,
			period(certificate.NotBefore, certificate.NotAfter), now.UTC().Format(time.RFC3339))
	}
	return nil
}

func period(from, to time.Time) string {
	return fmt.Sprintf("from %s to %s", from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339))
}
