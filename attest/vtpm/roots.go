package vtpm

import (
	"crypto/x509"
	_ "embed" // for the certificates
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
)

// azureCertificates are the public certificates of Azure's authorities for virtual TPMs. They
// include intermediates, because older AK certificates of Azure do not name the place of
// their issuer's certificate. Only the root is trusted.
//
//go:embed roots/azure.pem
var azureCertificates []byte

// maxRoots bounds a file of certificates.
const maxRoots = 64

// Roots are the authorities that may certify attestation keys.
type Roots struct {
	pool, intermediates *x509.CertPool
}

// AzureRoots returns Azure's authorities: the root of 2023, which is valid until 2048, and
// intermediates of 2025 and 2026.
func AzureRoots() *Roots { return azureRoots() }

var azureRoots = sync.OnceValue(func() *Roots {
	roots, err := ParseRoots(azureCertificates)
	if err != nil {
		panic("built-in roots of attestation keys: " + err.Error()) // a constant is wrong
	}
	return roots
})

// ParseRoots parses authorities as PEM. Self-signed ones are trusted. The others are
// intermediates.
func ParseRoots(text []byte) (*Roots, error) {
	roots := &Roots{x509.NewCertPool(), x509.NewCertPool()}
	trusted := 0
	for count := 0; ; count++ {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		certificate, err := parseAuthority(block)
		if err == nil && count == maxRoots {
			err = fmt.Errorf("there are more than %d", maxRoots)
		}
		if err != nil {
			return nil, fmt.Errorf("parsing certificates of authorities: %d: %w", count+1, err)
		}
		pool := roots.intermediates
		if certificate.CheckSignatureFrom(certificate) == nil {
			pool = roots.pool
			trusted++
		}
		pool.AddCert(certificate)
		text = rest
	}
	if trusted == 0 {
		return nil, errors.New("parsing certificates of authorities: none is a root")
	}
	return roots, nil
}

func parseAuthority(block *pem.Block) (*x509.Certificate, error) {
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	if !certificate.IsCA {
		return nil, fmt.Errorf("%q is no authority", certificate.Subject.CommonName)
	}
	return certificate, nil
}
