// Package pki is the certificate authority of the emulator.
//
// A [CA] is a root named "skr emulator TEST ONLY" with one issuing
// intermediate. Both are generated at each start, and their keys are never
// written. It issues TLS certificates on demand for the name that a client
// requests, and RSA signing certificates for the vaults' release statements,
// whose x5c is leaf, intermediate, root, as in Key Vault's.
//
//	ca, err := pki.New(pki.Config{})
//	server.TLSConfig = &tls.Config{GetCertificate: ca.GetCertificate(allowed)}
//
// It supports no revocation and only these two key usages.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync"
	"time"
)

// Name is the common name of the root.
const Name = "skr emulator TEST ONLY"

const (
	margin   = time.Hour
	lifetime = 365 * 24 * time.Hour
)

// Config configures a CA.
type Config struct {
	// Now is the clock of the emulated cloud; nil means time.Now. Certificates
	// are valid by this clock and by the machine's, so that a cloud with a
	// shifted clock can still be reached over TLS.
	Now func() time.Time
}

// CA issues certificates. It is safe for concurrent use.
type CA struct {
	root, issuing *issuer
	from, until   time.Time

	mu    sync.Mutex
	leafs map[string]*tls.Certificate // by lower-case name, at most maxLeafs
}

type issuer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// New creates a CA with new keys.
func New(c Config) (*CA, error) {
	ca := &CA{leafs: make(map[string]*tls.Certificate)}
	ca.from, ca.until = validity(c.Now)
	var err error
	if ca.root, err = ca.makeIssuer(Name, nil); err != nil {
		return nil, fmt.Errorf("pki: making the root: %w", err)
	}
	if ca.issuing, err = ca.makeIssuer(Name+" issuing", ca.root); err != nil {
		return nil, fmt.Errorf("pki: making the intermediate: %w", err)
	}
	return ca, nil
}

func validity(now func() time.Time) (from, until time.Time) {
	from = time.Now()
	until = from
	if now != nil {
		if other := now(); other.Before(from) {
			from = other
		} else {
			until = other
		}
	}
	return from.Add(-margin), until.Add(lifetime)
}

// PEM returns the root's certificate.
func (ca *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.root.cert.Raw})
}

// Pool returns a pool that holds only the root.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.root.cert)
	return pool
}

func (ca *CA) makeIssuer(name string, parent *issuer) (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := ca.template(name)
	template.IsCA = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	if parent == nil {
		parent = &issuer{template, key}
	}
	cert, err := parent.issue(template, key.Public())
	if err != nil {
		return nil, err
	}
	return &issuer{cert, key}, nil
}

func (ca *CA) template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             ca.from,
		NotAfter:              ca.until,
		BasicConstraintsValid: true,
	}
}

func (i *issuer) issue(template *x509.Certificate, key crypto.PublicKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, i.cert, key, i.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// serial returns 128 random bits with the top bit clear: RFC 5280 section
// 4.1.2.2 requires a positive number of at most 20 octets.
func serial() *big.Int {
	raw := make([]byte, 16)
	rand.Read(raw) // never fails, see crypto/rand
	raw[0] = raw[0]&0x7f | 0x40
	return new(big.Int).SetBytes(raw)
}
