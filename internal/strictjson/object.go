// Package strictjson reads the JSON objects that strangers write: claims, error
// bodies, documents of certificates.
//
//	claims, err := strictjson.Parse(payload)
//	kind, found := claims.Text("x-ms-isolation-tee.x-ms-attestation-type")
//
// encoding/json alone takes the last of several members of one name, matches
// names in any capitals and puts numbers into float64; two readers of one text
// could then see different things. Here a name that stands twice, or twice in
// different capitals, is an error, at any depth; names are exact, and numbers keep
// their text. Package strictyaml holds YAML to the same.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

const (
	maxBytes = 1 << 20
	maxDepth = 64 // a token's deepest claim has 4 levels
	// maxValues bounds what the text becomes in memory, which is a hundred times its
	// length where it is all one-digit numbers. A release policy can have a third.
	maxValues = 32 << 10
)

// ErrRepeated says that a member stands twice.
var ErrRepeated = errors.New("twice")

// Object is made only by Parse and never changes.
type Object struct{ members map[string]any }

// Parse decodes one JSON object of at most 1 MiB, with nothing behind it.
func Parse(data []byte) (Object, error) {
	if len(data) > maxBytes {
		return Object{}, fmt.Errorf("is longer than %d bytes", maxBytes)
	}
	decoder := &reader{json.NewDecoder(bytes.NewReader(data)), maxValues}
	decoder.UseNumber()
	value, err := parseValue(decoder, maxDepth)
	if err != nil {
		return Object{}, err
	}
	members, ok := value.(map[string]any)
	if !ok {
		return Object{}, errors.New("is not a JSON object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Object{}, errors.New("has data after the JSON object")
	}
	return Object{members}, nil
}

// Lookup walks a dotted path through nested objects, as release policies write
// it ("Azure Key Vault secure key release policy grammar"); the names of claims
// hold no dots. Values are string, bool, json.Number, nil, []any or
// map[string]any, and must not be changed.
func (o Object) Lookup(path string) (any, bool) {
	var value any = o.members
	for name := range strings.SplitSeq(path, ".") {
		members, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = members[name]; !ok {
			return nil, false
		}
	}
	return value, true
}

// Text is the string at a path; false if there is none.
func (o Object) Text(path string) (string, bool) {
	value, _ := o.Lookup(path)
	text, ok := value.(string)
	return text, ok
}

// Members are the object's members by name. Like the values of Lookup they must
// not be changed.
func (o Object) Members() map[string]any { return o.members }

// Equal says whether a value that Lookup gave is this object. Numbers are equal
// if their texts are.
func (o Object) Equal(value any) bool { return reflect.DeepEqual(any(o.members), value) }

// reader counts the values that it may still read.
type reader struct {
	*json.Decoder

	left int
}

// parseValue reads one value token by token, which is the only way that
// encoding/json shows duplicate members.
func parseValue(decoder *reader, depth int) (any, error) {
	if decoder.left--; decoder.left < 0 {
		return nil, fmt.Errorf("has more than %d values", maxValues)
	}
	token, err := decoder.Token()
	if err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	if _, nested := token.(json.Delim); nested && depth == 0 {
		return nil, fmt.Errorf("is nested more than %d levels deep", maxDepth)
	}
	switch token {
	case json.Delim('{'):
		return parseObject(decoder, depth-1)
	case json.Delim('['):
		return parseArray(decoder, depth-1)
	default:
		return token, nil
	}
}

func parseObject(decoder *reader, depth int) (map[string]any, error) {
	members := make(map[string]any)
	seen := make(map[string]struct{})
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("is not JSON: %w", err)
		}
		name, _ := token.(string) // the decoder allows nothing else here
		if _, found := members[name]; found {
			return nil, fmt.Errorf("has member %.100q %w", name, ErrRepeated)
		}
		if _, found := seen[Fold(name)]; found {
			return nil, fmt.Errorf("has member %.100q twice, in different capitals", name)
		}
		seen[Fold(name)] = struct{}{}
		if members[name], err = parseValue(decoder, depth); err != nil {
			return nil, err
		}
	}
	return members, closed(decoder)
}

func parseArray(decoder *reader, depth int) ([]any, error) {
	array := []any{}
	for decoder.More() {
		value, err := parseValue(decoder, depth)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	return array, closed(decoder)
}

func closed(decoder *reader) error {
	if _, err := decoder.Token(); err != nil {
		return fmt.Errorf("is not JSON: %w", err)
	}
	return nil
}
