package hsm

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"skr/internal/jwk"
)

// maxStatement bounds a release statement; recorded ones have about 11 KB.
const maxStatement = 256 << 10

// statement is a release statement in the compact serialisation of RFC 7515
// section 7.1, taken apart and not verified.
type statement struct {
	header       statementHeader
	signingInput string
	payload      []byte
	signature    []byte
}

// statementHeader holds the header parameters that decide anything. kid and
// x5t only name the certificate that x5c holds.
type statementHeader struct {
	Alg  string          `json:"alg"`
	Crit json.RawMessage `json:"crit"`
	X5c  []string        `json:"x5c"`
}

// verify is the way from a vault's answer to a [WrappedKey].
func (c *Client) verify(asked inquiry, text string) (*WrappedKey, error) {
	s, err := parseStatement(text)
	if err != nil {
		return nil, untrusted("the vault's release statement is malformed", err)
	}
	if err := s.verifySignature(asked.id.host, c.roots, c.now()); err != nil {
		return nil, untrusted("the vault's release statement is not signed by the vault", err)
	}
	claims, err := parsePayload(s.payload)
	if err != nil {
		return nil, untrusted("the vault's release statement is malformed", err)
	}
	if err := claims.validate(asked); err != nil {
		return nil, untrusted("the vault's release statement does not answer what was asked", err)
	}
	return claims.wrappedKey(), nil
}

func parseStatement(text string) (*statement, error) {
	if len(text) > maxStatement {
		return nil, fmt.Errorf("is longer than %d bytes", maxStatement)
	}
	parts := strings.SplitN(text, ".", 4)
	if len(parts) != 3 {
		return nil, errors.New("does not have three parts")
	}
	s := &statement{signingInput: parts[0] + "." + parts[1]}
	header, err := decodePart("header", parts[0])
	if err != nil {
		return nil, err
	}
	if s.payload, err = decodePart("payload", parts[1]); err != nil {
		return nil, err
	}
	if s.signature, err = decodePart("signature", parts[2]); err != nil {
		return nil, err
	}
	return s, s.parseHeader(header)
}

func (s *statement) parseHeader(header []byte) error {
	if err := decodeMembers("header", header, &s.header); err != nil {
		return err
	}
	// RFC 7515 section 4.1.11: an extension that is not understood must be
	// refused, and none is.
	if len(s.header.Crit) > 0 {
		return errors.New("the header has critical extensions")
	}
	return nil
}

// decodePart decodes base64url without padding, line breaks or stray bits (RFC
// 7515 section 2).
func decodePart(name, text string) ([]byte, error) {
	if text == "" {
		return nil, fmt.Errorf("the %s is empty", name)
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // which encoding/base64 skips
		return nil, fmt.Errorf("the %s is not base64url", name)
	}
	return data, nil
}

// decodeMembers decodes JSON whose objects name no member twice.
func decodeMembers(name string, data []byte, into any) error {
	if err := jwk.UniqueMembers(data); err != nil {
		return fmt.Errorf("the %s %w", name, err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("the %s has a member of the wrong type", name)
	}
	return nil
}
