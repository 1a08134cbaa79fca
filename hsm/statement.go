package hsm

import (
	"encoding/base64"
	"fmt"

	"skr/internal/crash"
	"skr/internal/jose/jwk"
	"skr/internal/jose/jws"
)

// maxStatement bounds a release statement; recorded ones have about 11 KB.
const maxStatement = 256 << 10

// statement is a parsed release statement in the compact serialisation of RFC 7515 section
// 7.1. It has not been verified.
type statement struct {
	object *jws.Signed
	x5c    []string // kid and x5t only name the certificate that is in x5c
}

// verify returns the [WrappedKey] in a vault's answer. It verifies the signature while it
// parses the rest. A wrong signature is reported before any other error.
func (c *Client) verify(asked inquiry, text string, seen *Statements) (*WrappedKey, error) {
	s, err := parseStatement(text)
	if err != nil {
		return nil, untrusted("the vault's release statement is malformed", err)
	}
	signed := crash.Beside(func() error { return s.verifySignature(asked.id.host, c.roots, c.now()) })
	wrapped, err := s.wrappedKey(asked)
	if forged := signed(); forged != nil {
		return nil, untrusted("the vault's release statement is not signed by the vault", forged)
	}
	if err != nil {
		return nil, err
	}
	if err := seen.admit(s.object.Digest()); err != nil {
		return nil, untrusted("the vault's release statement is a replay of an earlier one", err)
	}
	return wrapped, nil
}

// wrappedKey returns the key in a statement that answers the request. It does not verify
// the signature.
func (s *statement) wrappedKey(asked inquiry) (*WrappedKey, error) {
	claims, err := parsePayload(s.object.Payload)
	if err != nil {
		return nil, untrusted("the vault's release statement is malformed", err)
	}
	if err := claims.validate(asked); err != nil {
		return nil, untrusted("the vault's release statement does not answer what was asked", err)
	}
	return claims.wrappedKey(), nil
}

func parseStatement(text string) (*statement, error) {
	object, err := jws.Parse(text, maxStatement)
	if err != nil {
		return nil, err
	}
	return &statement{object, object.X5c}, nil
}

// decodePart decodes base64url without padding, line breaks or stray bits (RFC
// 7515 section 2).
func decodePart(name, text string) ([]byte, error) {
	if text == "" {
		return nil, fmt.Errorf("the %s is empty", name)
	}
	data, err := jwk.DecodeStrict(base64.RawURLEncoding, text)
	if err != nil {
		return nil, fmt.Errorf("the %s is not base64url", name)
	}
	return data, nil
}

// decodeMembers decodes JSON. It refuses duplicate members, and members that differ in case.
func decodeMembers(name string, data []byte, into any) error {
	if err := jwk.Unmarshal(data, into); err != nil {
		return fmt.Errorf("the %s: %w", name, err)
	}
	return nil
}
