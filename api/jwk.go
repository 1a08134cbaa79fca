package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// jwk is a JSON Web Key (RFC 7517): its members by their exact names, as JSON. Errors about
// it hold no values, which are secrets.
type jwk map[string]json.RawMessage

var errNotJWK = errors.New("it is not a JSON Web Key")

// parseJWK refuses what other readers could see differently: a member that stands twice, and
// text behind the object.
func parseJWK(text []byte) (jwk, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if begin, err := decoder.Token(); err != nil || begin != json.Delim('{') {
		return nil, errNotJWK
	}
	members := jwk{}
	for decoder.More() {
		if err := members.add(decoder); err != nil {
			members.wipe()
			return nil, err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return nil, errNotJWK
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotJWK
	}
	return members, nil
}

func (k jwk) add(decoder *json.Decoder) error {
	token, err := decoder.Token()
	name, isName := token.(string)
	if err != nil || !isName {
		return errNotJWK
	}
	if _, twice := k[name]; twice {
		return errors.New("a member stands twice in it")
	}
	var value json.RawMessage
	if decoder.Decode(&value) != nil {
		return errNotJWK
	}
	k[name] = value
	return nil
}

func (k jwk) wipe() {
	for _, value := range k {
		clear(value)
	}
}

// kind is kty without the mark for hardware that Key Vault writes: RSA, EC or oct.
func (k jwk) kind() string { return strings.TrimSuffix(k.text("kty"), "-HSM") }

// text is a member that is no secret; "" if it is missing or no string.
func (k jwk) text(name string) (text string) {
	if json.Unmarshal(k[name], &text) != nil {
		return ""
	}
	return text
}

// maxMember bounds a decoded member in bytes: an RSA modulus of 8192 bits and a zero.
const maxMember = 8192/8 + 1

// bytes decodes a member in base64url without padding (RFC 7515 section 2), for the caller to
// wipe.
func (k jwk) bytes(name string) ([]byte, error) {
	value, found := k[name]
	if !found {
		return nil, fmt.Errorf("member %q is missing", name)
	}
	if len(value) < len(`""`) || value[0] != '"' {
		return nil, fmt.Errorf("member %q is not a string", name)
	}
	text := value[1 : len(value)-1]
	if len(text) > base64.RawURLEncoding.EncodedLen(maxMember) {
		return nil, fmt.Errorf("member %q is too long", name)
	}
	decoded, err := base64.RawURLEncoding.Strict().AppendDecode(nil, text)
	if err != nil || len(decoded) == 0 {
		return nil, fmt.Errorf("member %q is not base64url", name)
	}
	return decoded, nil
}

func (k jwk) symmetric() ([]byte, error) {
	if kind := k.kind(); kind != "oct" {
		return nil, fmt.Errorf("%w: kty is %.20q, want %q", ErrKeyType, kind, "oct")
	}
	return k.bytes("k")
}
