// Package uvmtest endorses utility VMs that are not Microsoft's, for tests and
// the emulator.
//
// An [Endorser] is a three-level certificate authority with fresh keys, named
// TEST ONLY. It signs real COSE_Sign1 endorsements in both layouts that package
// attest/uvm reads. Its issuer is its own did:x509, which only an emulated
// Verifier accepts.
package uvmtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// purpose is the extended key usage that the issuer's did:x509 requires, below
// the enterprise number reserved for examples (RFC 5612).
var purpose = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 59, 1}

// Endorser signs endorsements. It is safe for concurrent use.
type Endorser struct {
	key   *ecdsa.PrivateKey
	chain []*x509.Certificate // leaf, intermediate, root
}

// NewEndorser creates fresh keys and certificates.
func NewEndorser() (*Endorser, error) {
	rootKey, root, err := issue(template("TEST ONLY UVM root", true), nil, nil)
	if err != nil {
		return nil, err
	}
	caKey, ca, err := issue(template("TEST ONLY UVM CA", true), root, rootKey)
	if err != nil {
		return nil, err
	}
	key, leaf, err := issue(template("TEST ONLY UVM endorser", false), ca, caKey)
	if err != nil {
		return nil, err
	}
	return &Endorser{key, []*x509.Certificate{leaf, ca, root}}, nil
}

// Issuer returns the endorser's did:x509.
func (e *Endorser) Issuer() string {
	fingerprint := sha256.Sum256(e.chain[2].Raw)
	return "did:x509:0:sha256:" + base64.RawURLEncoding.EncodeToString(fingerprint[:]) + "::eku:" + purpose.String()
}

// RootPEM returns the root certificate.
func (e *Endorser) RootPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.chain[2].Raw})
}

// Chain returns the DER of leaf, intermediate and root.
func (e *Endorser) Chain() [][]byte {
	chain := make([][]byte, 0, len(e.chain))
	for _, certificate := range e.chain {
		chain = append(chain, certificate.Raw)
	}
	return chain
}

// template returns a certificate that has expired, as the certificates of
// endorsements in use often have.
func template(name string, authority bool) *x509.Certificate {
	t := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name, Organization: []string{"TEST ONLY"}},
		NotBefore:             time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC),
		BasicConstraintsValid: true,
		IsCA:                  authority,
		KeyUsage:              x509.KeyUsageDigitalSignature,
	}
	if authority {
		t.KeyUsage = x509.KeyUsageCertSign
	} else {
		t.UnknownExtKeyUsage = []asn1.ObjectIdentifier{purpose}
		t.DNSNames = []string{"endorser.example"}
	}
	return t
}

// issue creates a key and its certificate. Without an issuer it is self-signed.
func issue(t, issuer *x509.Certificate, issuerKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("uvmtest: generating a key: %w", err)
	}
	if issuer == nil {
		issuer, issuerKey = t, key
	}
	if t.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		return nil, nil, fmt.Errorf("uvmtest: drawing a serial number: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, t, issuer, key.Public(), issuerKey)
	if err != nil {
		return nil, nil, fmt.Errorf("uvmtest: issuing a certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("uvmtest: reading a certificate back: %w", err)
	}
	return key, certificate, nil
}
