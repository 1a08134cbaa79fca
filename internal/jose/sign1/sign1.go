// Package sign1 verifies COSE_Sign1 messages (RFC 9052 section 4.2) whose signer is named
// by did:x509: the form of UVM endorsements and of policy fragments.
//
//	message, err := sign1.Verify(raw, 64<<10)
//	if err == nil && message.Issuer == trusted {
//		use(message.Payload)
//	}
//
// [Verify] checks that the certificates of the message's x5chain sign each other, that the
// did:x509 name of its issuer resolves to the first of them, and that this certificate's
// key made the signature. The result is authentic: its Issuer made it. The caller decides
// whether that issuer is acceptable.
//
// The package does not check the RFC 3161 time stamp or the SCITT receipts in the
// unprotected header.
package sign1

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/veraison/go-cose"
)

// The errors of [Verify], for errors.Is. Other errors mean that the message is malformed.
var (
	// ErrIssuer: the certificates do not prove who the issuer is.
	ErrIssuer = errors.New("resolving the issuer")
	// ErrSignature: the issuer has not signed the message.
	ErrSignature = errors.New("verifying the signature")
)

// Message is a verified COSE_Sign1. It is made only by Verify.
type Message struct {
	// Issuer is the did:x509 name of the signer.
	Issuer string
	// Feed is the line of statements that the message belongs to.
	Feed string
	// ContentType describes the payload; "" if the signer does not say. It is informative.
	ContentType string
	// Chain has the signer's certificate first.
	Chain []*x509.Certificate
	// Payload is what was signed.
	Payload []byte
	// Claims are the CWT claims; nil if the message names its issuer in text labels.
	Claims map[any]any

	protected cose.ProtectedHeader
}

// Header returns a parameter of the protected header, and whether it is there.
func (m *Message) Header(label any) (value any, found bool) {
	value, found = m.protected[label]
	return value, found
}

// Verify decodes a message of at most limit bytes and verifies it.
func Verify(raw []byte, limit int) (*Message, error) {
	decoded, err := DecodeUnverified(raw, limit)
	if err != nil {
		return nil, err
	}
	e, err := readEnvelope(decoded)
	if err != nil {
		return nil, err
	}
	leaf, err := resolve(e.issuer, e.chain)
	if err != nil {
		return nil, err
	}
	if err := verifySignature(decoded, e.algorithm, leaf); err != nil {
		return nil, err
	}
	protected := decoded.Headers.Protected
	return &Message{
		Issuer: e.issuer, Feed: e.feed, ContentType: Describe(protected[LabelContentType]),
		Chain: e.chain, Payload: decoded.Payload, Claims: e.claims, protected: protected,
	}, nil
}

func resolve(issuer string, chain []*x509.Certificate) (*x509.Certificate, error) {
	name, err := ParseDID(issuer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIssuer, err)
	}
	leaf, err := name.Resolve(chain)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIssuer, err)
	}
	return leaf, nil
}

func verifySignature(message *cose.Sign1Message, algorithm cose.Algorithm, leaf *x509.Certificate) error {
	verifier, err := cose.NewVerifier(algorithm, leaf.PublicKey)
	if err != nil {
		return fmt.Errorf("using the leaf's key: %w", err)
	}
	if err := message.Verify(nil, verifier); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
}
