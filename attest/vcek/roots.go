package vcek

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/google/go-sev-guest/verify/trust"
)

// Roots are the trusted ARKs. Roots that a source sends are not trusted.
type Roots struct{ arks []*x509.Certificate }

// BuiltinRoots returns AMD's ARKs of Milan, Genoa and Turin.
func BuiltinRoots() *Roots { return builtinRoots() }

// builtinRoots parses go-sev-guest's copies of
// https://kdsintf.amd.com/vcek/v1/…/cert_chain. A test pins their fingerprints.
var builtinRoots = sync.OnceValue(func() *Roots {
	files := [][]byte{trust.AskArkMilanVcekBytes, trust.AskArkGenoaVcekBytes, trust.AskArkTurinVcekBytes}
	roots, err := ParseRoots(bytes.Join(files, []byte("\n")))
	if err != nil {
		panic("built-in AMD roots: " + err.Error()) // a constant is wrong
	}
	return roots
})

// ParseRoots parses self-signed ARKs as PEM. It ignores the ASK and ASVK that AMD's
// files also contain, because each chain has its own.
func ParseRoots(pem []byte) (*Roots, error) {
	certificates, err := parseAllCertificates(pem)
	if err != nil {
		return nil, fmt.Errorf("parsing AMD roots: %w", err)
	}
	roots := &Roots{}
	for _, certificate := range certificates {
		if !bytes.Equal(certificate.RawIssuer, certificate.RawSubject) {
			continue
		}
		if err := checkRoot(certificate); err != nil {
			return nil, fmt.Errorf("parsing AMD roots: %q: %w", certificate.Subject.CommonName, err)
		}
		roots.arks = append(roots.arks, certificate)
	}
	if len(roots.arks) == 0 {
		return nil, errors.New("parsing AMD roots: there is no self-signed ARK")
	}
	return roots, nil
}

func checkRoot(certificate *x509.Certificate) error {
	if !strings.HasPrefix(certificate.Subject.CommonName, arkPrefix) {
		return errors.New("it is not named as an ARK")
	}
	return checkLink(certificate, certificate)
}

// anchor returns the trusted certificate with candidate's name and key.
func (r *Roots) anchor(candidate *x509.Certificate) (*x509.Certificate, error) {
	if r != nil {
		for _, ark := range r.arks {
			if bytes.Equal(ark.RawSubject, candidate.RawSubject) &&
				bytes.Equal(ark.RawSubjectPublicKeyInfo, candidate.RawSubjectPublicKeyInfo) {
				return ark, nil
			}
		}
	}
	return nil, fmt.Errorf("root %q is not among the trusted AMD roots", candidate.Subject.CommonName)
}
