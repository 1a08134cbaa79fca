package strictjson

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	defaultBytes = 1 << 20
	defaultDepth = 64 // a token's deepest claim has 4 levels
	// defaultValues bounds what a text takes in memory, which is a hundred times its
	// length if it is all one-digit numbers. A release policy can have a third.
	defaultValues = 32 << 10
)

// Decoder decodes into Go types. Its errors hold nothing of the text but the names of
// fields: a text may be a key. The zero value has the bounds of Parse.
type Decoder struct {
	// Bytes, Depth and Values bound a text; 0 means 1 MiB, 64 levels, 32,768 values.
	Bytes, Depth, Values int
	// KnownOnly refuses members that a struct has no field for.
	KnownOnly bool
}

func (d Decoder) withDefaults() Decoder {
	d.Bytes, d.Depth, d.Values = cmp.Or(d.Bytes, defaultBytes), cmp.Or(d.Depth, defaultDepth), cmp.Or(d.Values, defaultValues)
	return d
}

// Decode decodes data, one JSON value, into a pointer by the struct tags of
// encoding/json. null leaves a value as it is.
func (d Decoder) Decode(data []byte, into any) error {
	if _, err := d.read(data, reflect.TypeOf(into), false); err != nil {
		return err
	}
	return describe(json.Unmarshal(data, into))
}

// Check returns an error if data is not one JSON value, or breaks a rule of the package.
func (d Decoder) Check(data []byte) error {
	_, err := d.read(data, nil, false)
	return err
}

// Members calls each with the members of one JSON object in their order. Values are
// JSON that Check accepts; they share memory with data.
func (d Decoder) Members(data []byte, each func(name string, value []byte) error) error {
	d = d.withDefaults()
	if len(data) > d.Bytes {
		return fmt.Errorf("is longer than %d bytes", d.Bytes)
	}
	r := reader{d, newTokens(data), false, d.Values}
	token, err := r.tokens.ReadToken()
	switch {
	case err != nil:
		return r.syntax(err)
	case token.Kind() != '{':
		return ErrNotObject
	}
	return r.members(each)
}

// ErrNotObject is the error of a JSON value that is not an object.
var ErrNotObject = errors.New("is not a JSON object")

func (r *reader) members(each func(name string, value []byte) error) error {
	var seen names
	for r.tokens.PeekKind() != '}' {
		token, err := r.tokens.ReadToken()
		if err != nil {
			return r.syntax(err)
		}
		name := token.String()
		value, err := r.tokens.ReadValue()
		if err != nil {
			return r.syntax(err)
		}
		if err := seen.add(name); err != nil {
			return r.naming(name, Fields{}, err)
		}
		if value[0] == '{' || value[0] == '[' {
			if err := r.Check(value); err != nil {
				return err
			}
		}
		if err := each(name, value); err != nil {
			return err
		}
	}
	if _, err := r.tokens.ReadToken(); err != nil {
		return r.syntax(err)
	}
	return r.end()
}

// Text returns the string that a value of Members is; false if it is something else. It
// may share memory with value.
func Text(value []byte) (text []byte, ok bool) {
	switch {
	case len(value) < len(`""`) || value[0] != '"':
		return nil, false
	case bytes.IndexByte(value, '\\') < 0:
		return value[1 : len(value)-1], true
	}
	text, err := jsontext.AppendUnquote(nil, value)
	return text, err == nil
}

// TypeError is the error of a value of another type than its field.
type TypeError struct {
	// Member is the path of the value, with dots; "" is the whole text.
	Member string
	// Got is the kind of the value, and of a number its text. The error does not show it.
	Got string
	// Want is the field's type.
	Want reflect.Type
}

// Error names the member.
func (e *TypeError) Error() string {
	return fmt.Sprintf("member %q has the wrong JSON type", e.Member)
}

// describe names the member of a JSON error, and nothing else of the text.
func describe(err error) error {
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return &TypeError{Member: wrong.Field, Got: wrong.Value, Want: wrong.Type}
	}
	return err
}
