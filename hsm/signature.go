package hsm

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"time"

	"skr/internal/azure/endpoint"
	"skr/internal/certificate"
	"skr/internal/jose/jwk"
	"skr/internal/jose/jws"
)

// maxCertificates bounds x5c; recorded statements have three.
const maxCertificates = 6

// verifySignature verifies that the statement comes from the owner of the vault's name: the
// chain in x5c leads from a certificate for that name to one of the roots, at the time now,
// and the key of that certificate made the signature. It ignores keys that the header names
// in other ways (jwk, jku, x5u).
func (s *statement) verifySignature(vault endpoint.Host, roots *x509.CertPool, now time.Time) error {
	chain, err := parseChain(s.x5c)
	if err != nil {
		return err
	}
	if err := verifyChain(chain, vault, roots, now); err != nil {
		return err
	}
	return s.object.Verify(chain[0].PublicKey)
}

// parseChain decodes x5c: standard base64 of DER, the signer first (RFC 7515
// section 4.1.6).
func parseChain(x5c []string) ([]*x509.Certificate, error) {
	if len(x5c) == 0 || len(x5c) > maxCertificates {
		return nil, fmt.Errorf("x5c has %d certificates, not 1 to %d", len(x5c), maxCertificates)
	}
	chain := make([]*x509.Certificate, len(x5c))
	for i, text := range x5c {
		der, err := jwk.DecodeStrict(base64.StdEncoding, text)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of x5c is not base64", i)
		}
		if chain[i], err = x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("certificate %d of x5c: %w", i, err)
		}
		if key, ok := chain[i].PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > jws.MaxRSABits {
			return nil, fmt.Errorf("certificate %d of x5c has an RSA key of %d bits", i, key.N.BitLen())
		}
	}
	return chain, nil
}

// verifyChain verifies the chain. The leaf must allow server authentication, which is the
// usage of the TLS certificates that both services sign with and the default of
// crypto/x509, and it must allow signatures.
func verifyChain(chain []*x509.Certificate, vault endpoint.Host, roots *x509.CertPool, now time.Time) error {
	intermediates := x509.NewCertPool()
	for _, certificate := range chain[1:] {
		intermediates.AddCert(certificate)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		DNSName:       vault.Name(),
		Roots:         roots,
		Intermediates: intermediates,
		CurrentTime:   now,
	})
	if err != nil {
		return fmt.Errorf("verifying the certificate chain: %w", err)
	}
	return certificate.CheckSigner(chain[0])
}
