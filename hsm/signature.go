package hsm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"skr/internal/endpoint"
)

// maxCertificates bounds x5c; recorded statements have three.
const maxCertificates = 6

// minSignerBits is the least RSA key that RFC 7518 section 3.3 allows.
const (
	minSignerBits = 2048
	maxSignerBits = 8192
)

// verifySignature proves that the statement comes from the owner of the vault's
// name: the chain in x5c leads from a certificate for that name to one of the
// roots, now, and its key made the signature. Keys that the header names in
// another way (jwk, jku, x5u) are not looked at.
func (s *statement) verifySignature(vault endpoint.Host, roots *x509.CertPool, now time.Time) error {
	chain, err := parseChain(s.header.X5c)
	if err != nil {
		return err
	}
	if err := verifyChain(chain, vault, roots, now); err != nil {
		return err
	}
	method, err := methodFor(s.header.Alg, chain[0].PublicKey)
	if err != nil {
		return err
	}
	if err := method.Verify(s.signingInput, s.signature, chain[0].PublicKey); err != nil {
		return fmt.Errorf("verifying the signature: %w", err)
	}
	return nil
}

// parseChain decodes x5c: standard base64 of DER, the signer first (RFC 7515
// section 4.1.6).
func parseChain(x5c []string) ([]*x509.Certificate, error) {
	if len(x5c) == 0 || len(x5c) > maxCertificates {
		return nil, fmt.Errorf("x5c has %d certificates, not 1 to %d", len(x5c), maxCertificates)
	}
	chain := make([]*x509.Certificate, len(x5c))
	for i, text := range x5c {
		der, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || strings.ContainsAny(text, "\r\n") {
			return nil, fmt.Errorf("certificate %d of x5c is not base64", i)
		}
		if chain[i], err = x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("certificate %d of x5c: %w", i, err)
		}
	}
	return chain, nil
}

// verifyChain holds the leaf to server authentication, the usage of the TLS
// certificates that both services sign with and the default of crypto/x509.
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
	return nil
}

// methodFor picks the algorithm of the header, if it is one of RFC 7518 section
// 3.1 that fits the certified key. The key decides; the header may only choose
// among what suits it.
func methodFor(alg string, pub crypto.PublicKey) (jwt.SigningMethod, error) {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		if bits := pub.N.BitLen(); bits < minSignerBits || bits > maxSignerBits {
			return nil, fmt.Errorf("the signer's RSA key has %d bits", bits)
		}
		if method, ok := rsaMethods[alg]; ok {
			return method, nil
		}
	case *ecdsa.PublicKey:
		if method, ok := curveMethods[pub.Curve]; ok && method.Alg() == alg {
			return method, nil
		}
	default:
		return nil, errors.New("the signer's key is neither RSA nor ECDSA")
	}
	return nil, fmt.Errorf("algorithm %.20q does not fit the signer's key", alg)
}

var rsaMethods = map[string]jwt.SigningMethod{
	"RS256": jwt.SigningMethodRS256, "RS384": jwt.SigningMethodRS384, "RS512": jwt.SigningMethodRS512,
	"PS256": jwt.SigningMethodPS256, "PS384": jwt.SigningMethodPS384, "PS512": jwt.SigningMethodPS512,
}

var curveMethods = map[elliptic.Curve]jwt.SigningMethod{
	elliptic.P256(): jwt.SigningMethodES256,
	elliptic.P384(): jwt.SigningMethodES384,
	elliptic.P521(): jwt.SigningMethodES512,
}
