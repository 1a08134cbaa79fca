package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"skr/internal/secmem"
)

// Result is an Attestation Result: a token that has been verified.
type Result struct {
	// Token is shown to Relying Parties, as it was issued.
	Token secmem.Text
	// Claims is the token's payload.
	Claims Claims
	// Expires is the token's exp claim.
	Expires time.Time
}

// maxDepth bounds the nesting of JSON; a token's deepest claim has 4 levels.
const maxDepth = 64

// Claims is a JSON object whose numbers keep their text. It is made only by
// ParseClaims and is not changed afterwards.
type Claims struct {
	raw    json.RawMessage
	object map[string]any
}

// ParseClaims decodes one JSON object. A member that occurs twice is refused,
// at any depth: two readers of it could see different values.
func ParseClaims(payload json.RawMessage) (Claims, error) {
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber()
	value, err := decodeValue(decoder, maxDepth)
	if err != nil {
		return Claims{}, fmt.Errorf("attest: decoding claims: %w", err)
	}
	object, ok := value.(map[string]any)
	if !ok {
		return Claims{}, errors.New("attest: decoding claims: not a JSON object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Claims{}, errors.New("attest: decoding claims: data after the JSON object")
	}
	return Claims{bytes.Clone(payload), object}, nil
}

// Raw is a copy of the JSON that was decoded.
func (c Claims) Raw() json.RawMessage { return bytes.Clone(c.raw) }

// Lookup walks a dotted path through nested objects, as release policies write
// it ("Azure Key Vault secure key release policy grammar"); the names of claims
// hold no dots. Values are string, bool, json.Number, nil, []any or
// map[string]any, and must not be changed.
func (c Claims) Lookup(path string) (any, bool) {
	var value any = c.object
	for name := range strings.SplitSeq(path, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = object[name]; !ok {
			return nil, false
		}
	}
	return value, true
}

// Equal says whether a value that Lookup gave is this JSON object. Numbers are
// equal if their texts are.
func (c Claims) Equal(value any) bool { return reflect.DeepEqual(any(c.object), value) }

// Text is the string at a path; false if there is none.
func (c Claims) Text(path string) (string, bool) {
	value, _ := c.Lookup(path)
	text, ok := value.(string)
	return text, ok
}

// Bool is the boolean at a path; the second result is false if there is none.
func (c Claims) Bool(path string) (value, found bool) {
	claim, _ := c.Lookup(path)
	value, found = claim.(bool)
	return value, found
}

// decodeValue reads one value token by token, which is the only way that
// encoding/json shows duplicate members.
func decodeValue(decoder *json.Decoder, depth int) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	if _, ok := token.(json.Delim); ok && depth == 0 {
		return nil, fmt.Errorf("nested more than %d levels deep", maxDepth)
	}
	switch token {
	case json.Delim('{'):
		return decodeObject(decoder, depth-1)
	case json.Delim('['):
		return decodeArray(decoder, depth-1)
	default:
		return token, nil
	}
}

func decodeObject(decoder *json.Decoder, depth int) (map[string]any, error) {
	object := make(map[string]any)
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string) // the decoder allows nothing else here
		if _, found := object[name]; found {
			return nil, fmt.Errorf("member %.100q occurs twice", name)
		}
		if object[name], err = decodeValue(decoder, depth); err != nil {
			return nil, err
		}
	}
	_, err := decoder.Token()
	return object, err
}

func decodeArray(decoder *json.Decoder, depth int) ([]any, error) {
	array := []any{}
	for decoder.More() {
		value, err := decodeValue(decoder, depth)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	_, err := decoder.Token()
	return array, err
}
