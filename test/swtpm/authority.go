package swtpm

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"

	"skr/test/rsakey"
)

// extendedUses are the extended key usages of Azure's AK certificates: the
// TCG's tcg-kp-AIKCertificate and Microsoft's.
var extendedUses = []asn1.ObjectIdentifier{{2, 23, 133, 8, 3}, {1, 3, 6, 1, 4, 1, 311, 10, 3, 12}}

// Authority certifies the attestation keys of emulated machines with a root and
// an issuing intermediate. It is safe for concurrent use.
type Authority struct {
	root, intermediate *x509.Certificate
	key                *rsa.PrivateKey // the intermediate's key
	now                time.Time
}

// NewAuthority creates an authority with new keys. Its certificates are valid
// from an hour before now.
func NewAuthority(now time.Time) (*Authority, error) {
	rootKey, err := rsakey.Generate(2048)
	if err != nil {
		return nil, fmt.Errorf("swtpm: making the root's key: %w", err)
	}
	a := &Authority{now: now}
	if a.key, err = rsakey.Generate(2048); err != nil {
		return nil, fmt.Errorf("swtpm: making the intermediate's key: %w", err)
	}
	root := a.template("TEST ONLY Virtual TPM Root Certificate Authority", 1)
	if a.root, err = issue(root, root, &rootKey.PublicKey, rootKey); err != nil {
		return nil, err
	}
	a.intermediate, err = issue(a.template("TEST ONLY Virtual TPM CA - 03", 2), a.root, &a.key.PublicKey, rootKey)
	return a, err
}

// PEM returns the root and the intermediate.
func (a *Authority) PEM() []byte {
	var text []byte
	for _, certificate := range []*x509.Certificate{a.root, a.intermediate} {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})...)
	}
	return text
}

func (a *Authority) template(name string, serial int64) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          big.NewInt(serial),
		Subject:               pkix.Name{CommonName: name, Organization: []string{"TEST ONLY"}},
		NotBefore:             a.now.Add(-time.Hour),
		NotAfter:              a.now.AddDate(10, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// certify issues the AK's certificate, as Azure does: valid for about nine
// months, with the kind of machine in its name.
func (a *Authority) certify(ak *rsa.PublicKey, vmID string, confidential bool) ([]byte, error) {
	kind := "TrustedVM"
	if confidential {
		kind = "ConfidentialVM"
	}
	label := strings.ToLower(vmID[len(vmID)-12:])
	certificate, err := issue(&x509.Certificate{
		SerialNumber:          big.NewInt(3),
		Subject:               pkix.Name{CommonName: label + "." + kind + ".Azure.windows.net"},
		NotBefore:             a.now.Add(-time.Hour),
		NotAfter:              a.now.AddDate(0, 9, 0),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		UnknownExtKeyUsage:    extendedUses,
	}, a.intermediate, ak, a.key)
	if err != nil {
		return nil, err
	}
	return certificate.Raw, nil
}

// thumbprint returns the root's thumbprint for the runtime claims.
func (a *Authority) thumbprint() string {
	sum := sha256.Sum256(a.root.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func issue(template, parent *x509.Certificate, public *rsa.PublicKey, key *rsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("swtpm: issuing %q: %w", template.Subject.CommonName, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("swtpm: issuing %q: %w", template.Subject.CommonName, err)
	}
	return certificate, nil
}
