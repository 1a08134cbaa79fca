// Package strictyaml reads what operators write in YAML: the configuration, its
// sections, and policies that say what is trusted.
//
//	var rules []Rule
//	err := strictyaml.Decode(text, &rules)
//
// It holds YAML to the discipline that package strictjson has for JSON. In one text two
// readers must not see different things, and nothing may grant more than it seems to:
//
//   - A member that stands twice is an error, and so are two members that differ in
//     case only.
//   - A member has exactly the name of its field; an unknown one is an error.
//   - Anchors, aliases, merge keys and tags are errors, and so is a second document.
//   - A member that is present has a value: null, "", [] and {} are errors. What is
//     meant to be absent is left out. A field with the tag `empty:"strict"` takes [],
//     because nothing in its list is the strictest that it can say.
//   - Numbers and booleans have one spelling, that of JSON. YAML reads 010 as 8 and
//     some readers take yes for true.
//
// JSON is a part of YAML, and is read by the same rules.
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
	maxJSON  = 6 * maxBytes // "\u0000" stands for one byte
)

// Decode reads one document into v, a pointer. Errors tell the line.
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
		return nil, fmt.Errorf("line %d: a second document begins: only one is read", max(more.Line, 1))
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

// kindOf calls a type as the people call it who write documents.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number from 0"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	}
	return "another value"
}

// oneLine: errors of the YAML library have several.
func oneLine(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	return errors.New(strings.Join(strings.Fields(text), " "))
}
