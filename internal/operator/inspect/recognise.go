package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"unicode/utf8"

	"skr/internal/strictjson"
	"skr/internal/textfile"
)

// errOther is the error of a recogniser for data of another kind.
var errOther = errors.New("it is something else")

// input is one layer, read once for all recognisers.
type input struct {
	raw      []byte
	text     []byte // without white space around it; nil if raw is not text
	object   strictjson.Object
	isObject bool
	jsonErr  error // why what begins like a JSON object is not one
}

func newInput(data []byte) input {
	in := input{raw: data}
	text := textfile.UTF8(data)
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return in
	}
	in.text = bytes.TrimSpace(text)
	if bytes.HasPrefix(in.text, []byte("{")) {
		in.object, in.jsonErr = strictjson.Parse(in.text)
		in.isObject = in.jsonErr == nil
	}
	return in
}

func (in input) has(names ...string) bool {
	for _, name := range names {
		if _, found := in.object.Lookup(name); !in.isObject || !found {
			return false
		}
	}
	return true
}

func recognise(data []byte, layers int) (Artefact, error) {
	in := newInput(data)
	for _, r := range kinds {
		if r.recognise == nil {
			continue
		}
		content, err := r.recognise(in)
		if errors.Is(err, errOther) {
			continue
		}
		if err != nil {
			return Artefact{}, &malformedError{r.kind, err}
		}
		beside := in.beside(r.members, layers)
		if request, is := content.(*request); is {
			beside.collect("report.", request.inner, max(layers-1, 0))
		}
		return Artefact{kind: r.kind, content: content, beside: beside}, nil
	}
	return unpack(in, layers)
}

// beside returns the members of an object that do not belong to its kind. A kind without a
// list of members takes them all.
func (in input) beside(members []string, layers int) bundle {
	if members == nil || !in.isObject {
		return nil
	}
	var parts bundle
	parts.collect("", without(in.object.Members(), members...), max(layers-1, 0))
	return parts
}

func without(members map[string]any, names ...string) map[string]any {
	others := maps.Clone(members)
	for _, name := range names {
		delete(others, name)
	}
	return others
}

// malformedError is the error for data that a recogniser knows and cannot read.
type malformedError struct {
	kind  Kind
	cause error
}

func (e *malformedError) Error() string {
	return fmt.Sprintf("it looks like: %s; but %s", e.kind.Name(), e.cause)
}
func (e *malformedError) Unwrap() error { return e.cause }

// unpack removes one encoding.
func unpack(in input, layers int) (Artefact, error) {
	switch {
	case layers == 0:
		return Artefact{}, errOther
	case in.isObject:
		return unpackObject(in, layers-1)
	case in.jsonErr != nil:
		return Artefact{}, fmt.Errorf("it looks like JSON, but %w", in.jsonErr)
	case in.text == nil:
		return Artefact{}, errOther
	}
	unread := errOther // or an error for expected members that cannot be read
	for _, c := range carriers {
		inner, ok := c.decode(in.text)
		if !ok || len(inner) == 0 {
			continue
		}
		found, err := recognise(inner, layers-1)
		if errors.Is(err, errOther) {
			unread = err
			continue
		}
		if err != nil {
			return Artefact{}, fmt.Errorf("in %s: %w", c.name, err)
		}
		found.carrier = append([]string{c.name}, found.carrier...)
		return found, nil
	}
	return Artefact{}, unread
}
