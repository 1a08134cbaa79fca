package sign1

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"skr/internal/certificate"
)

// Resolve returns the signer that the name stands for, from its certificate chain, leaf
// first. Each certificate must be issued by the next, one of the CAs must have the
// fingerprint, and the leaf must meet each policy.
//
// Resolve ignores validity periods, as CCF does (didx509 with ignore_time). A statement is
// used as long as what it is about runs, which is longer than the year that its leaf is
// valid. A minimum security version number ends its use.
func (d DID) Resolve(chain []*x509.Certificate) (*x509.Certificate, error) {
	if len(chain) < 2 {
		return nil, errors.New("the certificate chain has no CA")
	}
	if err := checkSizes(chain); err != nil {
		return nil, err
	}
	if err := verifyLinks(chain); err != nil {
		return nil, err
	}
	if !d.pinned(chain[1:]) {
		return nil, errors.New("no CA of the chain has the issuer's fingerprint")
	}
	leaf := chain[0]
	if err := certificate.CheckSigner(leaf); err != nil {
		return nil, err
	}
	for _, p := range d.policies {
		if err := p.admits(leaf); err != nil {
			return nil, err
		}
	}
	return leaf, nil
}

func (d DID) pinned(authorities []*x509.Certificate) bool {
	for _, authority := range authorities {
		if sha256.Sum256(authority.Raw) == d.fingerprint {
			return true
		}
	}
	return false
}

// maxRSABits bounds the keys. Verifying with a key of 400,000 bits, which fits into a
// certificate, takes seconds.
const maxRSABits = 8192

func checkSizes(chain []*x509.Certificate) error {
	for i, certificate := range chain {
		if key, ok := certificate.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSABits {
			return fmt.Errorf("certificate %d has an RSA key of %d bits", i, key.N.BitLen())
		}
	}
	return nil
}

func verifyLinks(chain []*x509.Certificate) error {
	for i, certificate := range chain[:len(chain)-1] {
		if err := verifyLink(certificate, chain[i+1], i); err != nil {
			return fmt.Errorf("certificate %d of the chain: %w", i, err)
		}
	}
	return nil
}

// verifyLink checks a certificate and its issuer as RFC 5280 section 6.1 requires, except
// for times. below is the number of CAs beneath the issuer.
func verifyLink(certificate, issuer *x509.Certificate, below int) error {
	if !bytes.Equal(certificate.RawIssuer, issuer.RawSubject) {
		return errors.New("its issuer is not the next certificate")
	}
	if !issuer.BasicConstraintsValid || !issuer.IsCA {
		return errors.New("its issuer is not a CA")
	}
	limited := issuer.MaxPathLen > 0 || issuer.MaxPathLenZero
	if limited && below > issuer.MaxPathLen {
		return errors.New("its issuer does not allow so long a path")
	}
	if len(certificate.UnhandledCriticalExtensions) > 0 {
		return errors.New("it has a critical extension that is not understood")
	}
	return certificate.CheckSignatureFrom(issuer)
}
