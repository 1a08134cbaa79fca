package vcek

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-sev-guest/verify/trust"
)

const (
	intermediatePrefix = "SEV-"      // of an ASK: SEV-Milan
	providerPrefix     = "SEV-VLEK-" // of an ASVK: SEV-VLEK-Milan
)

// publicIssuers are AMD's ASK, ASVK and ARK of Milan, Genoa and Turin: go-sev-guest's
// copies of https://kdsintf.amd.com/{vcek,vlek}/v1/{product}/cert_chain. A test pins
// their fingerprints. They complete a chain but do not make it trusted.
var publicIssuers = sync.OnceValue(func() []*x509.Certificate {
	issuers, err := parseAllCertificates(bytes.Join([][]byte{
		trust.AskArkMilanVcekBytes, trust.AskArkMilanVlekBytes, trust.AskArkGenoaVcekBytes,
		trust.AskArkGenoaVlekBytes, trust.AskArkTurinVcekBytes, trust.AskArkTurinVlekBytes,
	}, []byte("\n")))
	if err != nil {
		panic("built-in issuers: " + err.Error()) // a constant is wrong
	}
	return issuers
})

// IsIssuer reports whether the certificate is named as an ASK, ASVK or ARK.
func IsIssuer(certificate *x509.Certificate) bool {
	name := certificate.Subject.CommonName
	return certificate.IsCA && !IsLeaf(certificate) && (strings.HasPrefix(name, intermediatePrefix) || strings.HasPrefix(name, arkPrefix))
}

// NewChain makes a chain of one VCEK or VLEK and any of its issuers, in any order. It
// completes a missing issuer with AMD's public one of the same name: see
// [Chain.Completed]. It ignores other ASK, ASVK and ARK, because AMD publishes them in
// one file, and refuses any other certificate. [Chain.Verify] treats completed chains
// like others.
func NewChain(certificates ...*x509.Certificate) (*Chain, error) {
	chain, err := assemble(certificates)
	if err != nil {
		return nil, fmt.Errorf("making a chain: %w", err)
	}
	return chain, nil
}

// assemble keeps the order of three certificates that do not name each other, so that
// the verification reports what does not fit.
func assemble(certificates []*x509.Certificate) (*Chain, error) {
	chain, err := link(certificates)
	if err != nil && len(certificates) == 3 && IsLeaf(certificates[0]) && IsIssuer(certificates[1]) && IsIssuer(certificates[2]) {
		return newChain(certificates[0], certificates[1], certificates[2])
	}
	return chain, err
}

// link follows the names of the issuers.
func link(certificates []*x509.Certificate) (*Chain, error) {
	leaf, err := onlyLeaf(certificates)
	if err != nil {
		return nil, err
	}
	var completed []string
	intermediate, isPublic, err := findIssuer(leaf, certificates)
	if err != nil {
		return nil, err
	}
	if isPublic {
		completed = append(completed, roleOf(intermediate))
	}
	root, isPublic, err := findIssuer(intermediate, certificates)
	if err != nil {
		return nil, err
	}
	if isPublic {
		completed = append(completed, roleOf(root))
	}
	chain, err := newChain(leaf, intermediate, root)
	if err != nil {
		return nil, err
	}
	chain.completed = completed
	return chain, nil
}

// onlyLeaf refuses certificates that are neither the leaf nor named as issuers.
func onlyLeaf(certificates []*x509.Certificate) (leaf *x509.Certificate, err error) {
	for i, certificate := range certificates {
		switch {
		case IsIssuer(certificate):
		case !IsLeaf(certificate):
			return nil, fmt.Errorf("certificate %d, of %q, is neither a VCEK or VLEK nor one of their issuers", i+1, certificate.Subject.CommonName)
		case leaf != nil && !leaf.Equal(certificate):
			return nil, errors.New("there are several VCEK or VLEK; give the one that is for the report")
		default:
			leaf = certificate
		}
	}
	if leaf == nil {
		return nil, errors.New("there is no VCEK or VLEK")
	}
	return leaf, nil
}

// findIssuer looks for the issuer among the certificates, then among AMD's. If several
// have that name, it chooses the one that signed child. If none did, it chooses the
// first, so that the verification reports what is wrong.
func findIssuer(child *x509.Certificate, given []*x509.Certificate) (issuer *x509.Certificate, isPublic bool, err error) {
	isOther := func(c *x509.Certificate) bool { return !IsIssuer(c) || !bytes.Equal(c.RawSubject, child.RawIssuer) }
	if named := slices.DeleteFunc(slices.Clone(given), isOther); len(named) > 0 {
		return signerOf(child, named), false, nil
	}
	if public := slices.DeleteFunc(slices.Clone(publicIssuers()), isOther); len(public) > 0 {
		return public[0], true, nil
	}
	return nil, false, fmt.Errorf("%q is issued by %q, whose certificate is not here and not one of AMD's that are built in",
		child.Subject.CommonName, child.Issuer.CommonName)
}

func signerOf(child *x509.Certificate, named []*x509.Certificate) *x509.Certificate {
	if len(named) > 1 {
		for _, candidate := range named {
			if checkLink(child, candidate) == nil {
				return candidate
			}
		}
	}
	return named[0]
}

// roleOf returns AMD's term for the issuer.
func roleOf(issuer *x509.Certificate) string {
	switch name := issuer.Subject.CommonName; {
	case strings.HasPrefix(name, arkPrefix):
		return "ARK"
	case strings.HasPrefix(name, providerPrefix):
		return "ASVK"
	}
	return "ASK"
}

// Completed names AMD's public certificates that were added because they did not come
// with the leaf, such as "AMD's public ASK and ARK". It is "" for a complete chain.
func (c *Chain) Completed() string {
	if len(c.completed) == 0 {
		return ""
	}
	return "AMD's public " + strings.Join(c.completed, " and ")
}
