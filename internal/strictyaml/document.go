// Package strictyaml decodes YAML that operators write: the configuration, its sections, and policies.
//
//	var rules []Rule
//	err := strictyaml.Decode(text, &rules)
//
// It has the rules of package strictjson for JSON. Two parsers must not read a text differently, and no text
// may grant more than it seems to:
//
//   - A duplicate member is an error, and so are two members that differ only in case.
//   - A member has exactly the name of its field; an unknown member is an error.
//   - Anchors, aliases, merge keys and tags are errors, and so is a second document.
//   - A member that is present has a value: null, "", [] and {} are errors. Leave out members
//     that are absent. A field with the tag `empty:"strict"` accepts [], because an empty list
//     is the strictest value.
//   - Numbers and booleans have only the form of JSON. YAML reads 010 as 8, and some parsers
//     read yes as true.
//
// JSON is a part of YAML and has the same rules.
package strictyaml

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"skr/internal/strictjson"
)

// ErrEmpty is the error of a value that is present and empty.
var ErrEmpty = errors.New("present and empty: give it a value, or leave it out")

const (
	maxBytes = 1 << 20
	maxDepth = 64
	maxJSON  = 6 * maxBytes // "\u0000" encodes one byte
)

// Decode decodes one document into v, a pointer. Errors contain the line.
func Decode(text []byte, v any) error {
	root, err := parse(text)
	if err != nil {
		return err
	}
	if err := check(root, maxDepth); err != nil {
		return err
	}
	if err := fits(root, reflect.TypeOf(v).Elem(), "the document"); err != nil {
		return err
	}
	return decode(root, v)
}

// parse returns the root of the only document.
func parse(text []byte) (*yaml.Node, error) {
	if len(text) > maxBytes {
		return nil, fmt.Errorf("is longer than %d bytes", maxBytes)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, more yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("the document is %w", ErrEmpty)
	case err != nil:
		return nil, oneLine(err)
	}
	switch err := decoder.Decode(&more); {
	case err == nil:
		return nil, fmt.Errorf("line %d: a second document begins, but only one is allowed", max(more.Line, 1))
	case !errors.Is(err, io.EOF):
		return nil, oneLine(err)
	}
	return document.Content[0], nil
}

// decode decodes the checked document as JSON, by the struct tags of its types.
func decode(root *yaml.Node, v any) error {
	value, err := plain(root)
	if err != nil {
		return err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	err = strictjson.Decoder{Bytes: maxJSON, Values: maxBytes, KnownOnly: true}.Decode(text, v)
	if wrong, ok := errors.AsType[*strictjson.TypeError](err); ok {
		return fmt.Errorf("%s: want %s, not %s", cmp.Or(wrong.Member, "the document"), kindOf(wrong.Want), wrong.Got)
	}
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// kindOf returns the name of a type in errors.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number from 0"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	}
	return "another value"
}

// oneLine joins the lines of an error of the YAML library.
func oneLine(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	return errors.New(strings.Join(strings.Fields(text), " "))
}
