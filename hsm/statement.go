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

// statement is a release statement in the compact serialisation of RFC 7515
// section 7.1, taken apart and not verified.
type statement struct {
	object *jws.Signed
	x5c    []string // kid and x5t only name the certificate that x5c holds
}

// verify is the way from a vault's answer to a [WrappedKey]. The signature is verified
// while the rest is read, and what is wrong with it comes before all other complaints.
func (c *Client) verify(asked inquiry, text string, seen *Statements) (*WrappedKey, error) {
	s, err := parseStatement(text)
	if err != nil {
		return nil, untrusted("the vault's release statement is malformed", err)
	}
	signed := crash.Beside(func() error { return s.verifySignature(asked.id.host, c.roots, c.now()) })
	wrapped, err := s.read(asked)
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

// read takes the key out of a statement that answers what was asked. Alone it proves
// nothing.
func (s *statement) read(asked inquiry) (*WrappedKey, error) {
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

// decodeMembers decodes JSON whose objects name no member twice, or in other capitals.
func decodeMembers(name string, data []byte, into any) error {
	if err := jwk.Unmarshal(data, into); err != nil {
		return fmt.Errorf("the %s: %w", name, err)
	}
	return nil
}
