package maa

import (
	"encoding/base64"
	"strings"

	"skr/internal/jose/jwk"
)

// decode decodes base64url with or without padding (RFC 4648 section 5). It
// refuses the standard alphabet with the service's known text: Unknown base64
// character: 47 ("/").
func decode(name, text string) ([]byte, error) {
	if text == "" {
		return nil, invalid("The %s is required.", name)
	}
	digits, err := trimPadding(name, text)
	if err != nil {
		return nil, err
	}
	for _, c := range []byte(digits) {
		if !isBase64URL(c) {
			return nil, invalid("Unknown base64 character: %d (%q)", c, string(rune(c)))
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(digits)
	if err != nil {
		return nil, invalid("The %s is not base64url.", name)
	}
	return raw, nil
}

func trimPadding(name, text string) (digits string, err error) {
	digits = strings.TrimRight(text, "=")
	if padding := len(text) - len(digits); padding > 0 && (padding > 2 || len(text)%4 != 0) {
		return "", invalid("The %s has wrong base64 padding.", name)
	}
	return digits, nil
}

// decodeEither decodes base64 in either alphabet, with or without padding, as
// AttestationInfo may contain.
func decodeEither(name, text string) ([]byte, error) {
	if text == "" {
		return nil, invalid("The %s is required.", name)
	}
	digits, err := trimPadding(name, text)
	if err != nil {
		return nil, err
	}
	raw, err := jwk.DecodeStrict(base64.RawURLEncoding, urlAlphabet.Replace(digits))
	if err != nil {
		return nil, invalid("The %s is not base64.", name)
	}
	return raw, nil
}

var urlAlphabet = strings.NewReplacer("+", "-", "/", "_")

func isBase64URL(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		return true
	}
	return false
}
