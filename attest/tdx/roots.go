package tdx

import (
	"bytes"
	"crypto/x509"
	_ "embed" // for the certificate
	"errors"
	"fmt"
	"sync"
)

// intelRoot is Intel SGX Root CA. Comments in the file name its source.
//
//go:embed roots/intel.pem
var intelRoot []byte

// Roots are the trusted roots of PCK certificates and of collateral. Roots that come with a
// quote are not trusted.
type Roots struct{ all []*x509.Certificate }

// BuiltinRoots returns Intel SGX Root CA, which is valid until 2049.
func BuiltinRoots() *Roots { return builtinRoots() }

var builtinRoots = sync.OnceValue(func() *Roots {
	roots, err := ParseRoots(intelRoot)
	if err != nil {
		panic("built-in Intel root: " + err.Error()) // a constant is wrong
	}
	return roots
})

// ParseRoots parses self-signed certificates as PEM. Lines before a certificate that begin
// with # are comments. A certificate that is not self-signed is refused.
func ParseRoots(text []byte) (*Roots, error) {
	certificates, err := parseCertificates(withoutComments(text))
	if err == nil && len(certificates) == 0 {
		err = errors.New("there is no certificate")
	}
	if err != nil {
		return nil, fmt.Errorf("parsing Intel roots: %w", err)
	}
	for _, root := range certificates {
		if err := checkLink(root, root); err != nil {
			return nil, fmt.Errorf("parsing Intel roots: it is no root: %w", err)
		}
	}
	return &Roots{certificates}, nil
}

func withoutComments(text []byte) []byte {
	var kept []byte
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(line, []byte("#")) {
			kept = append(kept, line...)
		}
	}
	return kept
}

// anchor returns the trusted certificate with the name and key of candidate.
func (r *Roots) anchor(candidate *x509.Certificate) (*x509.Certificate, error) {
	for _, root := range r.list() {
		if bytes.Equal(root.RawSubject, candidate.RawSubject) && bytes.Equal(root.RawSubjectPublicKeyInfo, candidate.RawSubjectPublicKeyInfo) {
			return root, nil
		}
	}
	return nil, fmt.Errorf("root %q is not among the trusted Intel roots", candidate.Subject.CommonName)
}

// issuer returns the trusted root that issued child directly.
func (r *Roots) issuer(child *x509.Certificate) (*x509.Certificate, error) {
	err := fmt.Errorf("%q is issued by %q, which is not among the trusted Intel roots", child.Subject.CommonName, child.Issuer.CommonName)
	for _, root := range r.list() {
		if bytes.Equal(root.RawSubject, child.RawIssuer) {
			if err = checkLink(child, root); err == nil {
				return root, nil
			}
		}
	}
	return nil, err
}

// list returns the roots; none for nil.
func (r *Roots) list() []*x509.Certificate {
	if r == nil {
		return nil
	}
	return r.all
}
