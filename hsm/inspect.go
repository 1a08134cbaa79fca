package hsm

import (
	"crypto/x509"
	"fmt"
	"time"

	"skr/internal/azure/endpoint"
)

// Statement is a parsed release statement that has not been verified. It is for tools that
// show statements: it has no key.
type Statement struct {
	parsed *statement
	claims *payload
	chain  []*x509.Certificate
}

// ParseStatement parses a statement in the form of RFC 7515 section 7.1.
func ParseStatement(text string) (*Statement, error) {
	parsed, err := parseStatement(text)
	if err != nil {
		return nil, fmt.Errorf("parsing release statement: it %w", err)
	}
	chain, err := parseChain(parsed.x5c)
	if err != nil {
		return nil, fmt.Errorf("parsing release statement: %w", err)
	}
	claims, err := parsePayload(parsed.object.Payload)
	if err != nil {
		return nil, fmt.Errorf("parsing release statement: %w", err)
	}
	return &Statement{parsed, claims, chain}, nil
}

// Certificates returns the certificates in the statement, the signer's first.
func (s *Statement) Certificates() []*x509.Certificate { return s.chain }

// Host returns the vault of the released key, as the statement claims.
func (s *Statement) Host() endpoint.Host { return s.claims.released.host }

// Key returns the identifier of the released key, as the statement claims.
func (s *Statement) Key() string { return s.claims.released.String() }

// Wrapping returns how the key is wrapped: the algorithm, and the length of the wrapped key
// in bytes.
func (s *Statement) Wrapping() (algorithm string, length int) {
	return s.claims.wrapped.Header.Enc, len(s.claims.wrapped.ciphertext)
}

// VerifySignature returns an error if the owner of the vault's name did not sign the
// statement, or if its certificates are not valid at the time now. nil roots means the
// system's.
func (s *Statement) VerifySignature(vault endpoint.Host, roots *x509.CertPool, now time.Time) error {
	if err := s.parsed.verifySignature(vault, roots, now); err != nil {
		return fmt.Errorf("verifying release statement: %w", err)
	}
	return nil
}
