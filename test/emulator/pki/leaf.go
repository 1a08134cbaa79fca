package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"skr/test/rsakey"
)

const (
	maxLeafs      = 1024 // beyond it, new names cost time but no memory
	maxCommonName = 64   // ub-common-name of RFC 5280 appendix A.1
	statementBits = 2048
)

// GetCertificate returns a callback that answers TLS handshakes for the names
// that allowed accepts.
func (ca *CA) GetCertificate(allowed func(name string) bool) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		name := strings.ToLower(hello.ServerName)
		if name == "" {
			return nil, errors.New("pki: the client sent no server name (SNI)")
		}
		if !allowed(name) {
			return nil, fmt.Errorf("pki: %q is not a host of this cloud", name)
		}
		return ca.Certificate(name)
	}
}

// Certificate returns the TLS certificate for name. It is issued on the first
// call.
func (ca *CA) Certificate(name string) (*tls.Certificate, error) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if leaf, ok := ca.leafs[name]; ok {
		return leaf, nil
	}
	if len(ca.leafs) >= maxLeafs {
		clear(ca.leafs)
	}
	leaf, err := ca.makeLeaf(ca.server(name))
	if err != nil {
		return nil, fmt.Errorf("pki: making a certificate for %q: %w", name, err)
	}
	ca.leafs[name] = leaf
	return leaf, nil
}

func (ca *CA) makeLeaf(template *x509.Certificate) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	cert, err := ca.issuing.issue(template, key.Public())
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{
		Certificate: [][]byte{cert.Raw, ca.issuing.cert.Raw},
		PrivateKey:  key,
		Leaf:        cert,
	}, nil
}

func (ca *CA) server(names ...string) *x509.Certificate {
	template := ca.template(commonName(names[0]))
	template.DNSNames = names
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return template
}

func commonName(name string) string {
	return name[:min(len(name), maxCommonName)]
}

// Signer signs release statements.
type Signer struct {
	// Key is an RSA-2048 key, because the statements are signed with RS256.
	Key *rsa.PrivateKey
	// Chain is the DER of leaf, intermediate and root, as in x5c.
	Chain [][]byte
}

// StatementSigner issues a signing certificate for the given DNS names; the
// first is the common name. Key Vault signs its release statements with a
// TLS-style certificate that carries the vault's host name.
func (ca *CA) StatementSigner(names ...string) (*Signer, error) {
	if len(names) == 0 {
		return nil, errors.New("pki: a statement signer needs a name")
	}
	key, err := rsakey.Generate(statementBits)
	if err != nil {
		return nil, fmt.Errorf("pki: making a statement key: %w", err)
	}
	cert, err := ca.issuing.issue(ca.server(names...), key.Public())
	if err != nil {
		return nil, fmt.Errorf("pki: certifying a statement key: %w", err)
	}
	return &Signer{key, [][]byte{cert.Raw, ca.issuing.cert.Raw, ca.root.cert.Raw}}, nil
}
