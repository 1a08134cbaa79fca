package fragment

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/veraison/go-cose"

	"skr/internal/operator/execpolicy"
)

// ContentType is the media type of a fragment's payload (microsoft/confidential-aci-examples,
// examples/fragments).
const ContentType = "application/unknown+rego"

// Signature names the signer of a fragment and its feed.
type Signature struct {
	// Key signs. It is on the curve P-384 and makes ES384, which the tools of the platform use.
	Key *ecdsa.PrivateKey
	// Chain of the key's certificate, leaf first, root last.
	Chain []*x509.Certificate
	// Issuer is the did:x509 name of the signer: see sign1.SubjectIssuer and PurposeIssuer.
	Issuer string
	// Feed is the repository that the fragment is for, REGISTRY/REPOSITORY, without a tag.
	Feed string
}

// Sign makes a COSE_Sign1 of a fragment's Rego and verifies it.
func Sign(text []byte, s Signature) ([]byte, error) {
	if err := Check(text); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	raw, err := sign(text, s)
	if err != nil {
		return nil, err
	}
	if _, err := Parse(raw); err != nil {
		return nil, fmt.Errorf("verifying the new signature: %w", err)
	}
	return raw, nil
}

func sign(text []byte, s Signature) ([]byte, error) {
	signer, err := cose.NewSigner(cose.AlgorithmES384, s.Key)
	if err != nil {
		return nil, fmt.Errorf("using the key for ES384: %w", err)
	}
	chain := make([]any, len(s.Chain))
	for i, certificate := range s.Chain {
		chain[i] = certificate.Raw
	}
	headers := cose.Headers{Protected: cose.ProtectedHeader{
		cose.HeaderLabelAlgorithm:   cose.AlgorithmES384,
		cose.HeaderLabelContentType: ContentType,
		cose.HeaderLabelX5Chain:     chain,
		"iss":                       s.Issuer,
		"feed":                      s.Feed,
	}}
	raw, err := cose.Sign1(rand.Reader, signer, headers, text, nil)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return raw, nil
}

// check reports a mistake that the verification of the result would also find, in terms of
// what was given.
func (s Signature) check() error {
	if err := execpolicy.CheckFeed(s.Feed); err != nil {
		return err
	}
	if s.Key == nil || s.Key.Curve != elliptic.P384() {
		return errors.New("the key is not an EC key on P-384")
	}
	if len(s.Chain) < 2 {
		return errors.New("the chain needs the signer's certificate and at least one CA")
	}
	if !s.Key.PublicKey.Equal(s.Chain[0].PublicKey) {
		return errors.New("the first certificate of the chain is not the key's: put the signer's certificate first and the root last")
	}
	return nil
}
