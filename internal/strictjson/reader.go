package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/go-json-experiment/json/jsontext"
)

// reader reads one text token by token.
type reader struct {
	Decoder

	tokens *jsontext.Decoder
	build  bool // whether values are wanted
	left   int  // values that may still be read
}

// read checks one JSON value against the rules and the fields of t, which may be nil.
// With build it returns the value.
func (d Decoder) read(data []byte, t reflect.Type, build bool) (any, error) {
	d = d.withDefaults()
	if len(data) > d.Bytes {
		return nil, fmt.Errorf("is longer than %d bytes", d.Bytes)
	}
	r := reader{d, newTokens(data), build, d.Values}
	value, err := r.value(d.Depth, t)
	if err != nil {
		return nil, err
	}
	return value, r.end()
}

// newTokens leaves names that stand twice to the reader, which also compares capitals.
func newTokens(data []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true))
}

func (r *reader) value(depth int, t reflect.Type) (any, error) {
	if r.left--; r.left < 0 {
		return nil, fmt.Errorf("has more than %d values", r.Values)
	}
	token, err := r.tokens.ReadToken()
	if err != nil {
		return nil, r.syntax(err)
	}
	kind := token.Kind()
	switch {
	case kind != '{' && kind != '[':
		return r.scalar(token), nil
	case depth == 0:
		return nil, fmt.Errorf("is nested more than %d levels deep", r.Depth)
	case kind == '{':
		return r.object(depth-1, FieldsOf(t))
	}
	return r.array(depth-1, elementOf(t))
}

func (r *reader) scalar(token jsontext.Token) any {
	if !r.build {
		return nil
	}
	switch token.Kind() {
	case '"':
		return token.String()
	case '0':
		return json.Number(token.String())
	case 't', 'f':
		return token.Bool()
	}
	return nil
}

func (r *reader) object(depth int, fields Fields) (any, error) {
	var members map[string]any
	if r.build {
		members = make(map[string]any)
	}
	var seen names
	for r.tokens.PeekKind() != '}' {
		token, err := r.tokens.ReadToken()
		if err != nil {
			return nil, r.syntax(err)
		}
		name := token.String()
		if err := seen.add(name); err != nil {
			return nil, r.naming(name, fields, err)
		}
		t, err := r.field(name, fields)
		if err != nil {
			return nil, err
		}
		value, err := r.value(depth, t)
		if err != nil {
			return nil, err
		}
		if r.build {
			members[name] = value
		}
	}
	_, err := r.tokens.ReadToken()
	return members, r.syntax(err)
}

func (r *reader) array(depth int, element reflect.Type) (any, error) {
	array := []any{}
	for r.tokens.PeekKind() != ']' {
		value, err := r.value(depth, element)
		if err != nil {
			return nil, err
		}
		if r.build {
			array = append(array, value)
		}
	}
	_, err := r.tokens.ReadToken()
	return array, r.syntax(err)
}

// field returns the type that the member is decoded into; nil if it is passed over.
func (r *reader) field(name string, fields Fields) (reflect.Type, error) {
	field, found := fields.exact[name]
	switch other, capitals := fields.InOtherCapitals(name); {
	case found:
		return field.Type, nil
	case capitals:
		return nil, fmt.Errorf("names member %q in other capitals", other)
	case r.KnownOnly && fields.exact != nil:
		return nil, errors.New("has an unknown member")
	}
	return nil, nil //nolint:nilnil // no type and no error
}

// naming adds the member's name to err if the text is not secret or the name is a field's.
func (r *reader) naming(name string, fields Fields, err error) error {
	if _, known := fields.exact[name]; r.build || known {
		return fmt.Errorf("has member %.100q %w", name, err)
	}
	return fmt.Errorf("has a member %w", err)
}

func (r *reader) end() error {
	switch _, err := r.tokens.ReadToken(); {
	case errors.Is(err, io.EOF):
		return nil
	case r.build:
		return errors.New("has data after the JSON object")
	}
	return errors.New("has data after the JSON value")
}

// syntax describes err. It quotes nothing of a text that may be secret.
func (r *reader) syntax(err error) error {
	wrong, known := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case err == nil:
		return nil
	case !r.build:
		return errors.New("is not JSON")
	case known:
		err = wrong.Err
	}
	return fmt.Errorf("is not JSON: %w", err)
}
