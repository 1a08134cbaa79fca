package jwk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"

	"skr/internal/strictjson"
)

// maxDepth bounds nested objects and arrays; keys, headers and release
// statements stay below ten.
const maxDepth = 32

// maxValues bounds what a text becomes in memory: a set of 64 keys has a thousand.
const maxValues = 8 << 10

// UniqueMembers says whether data is one JSON value in which no object names a
// member twice, as RFC 7515 section 4 and RFC 7517 section 4 demand.
// encoding/json would take the last of them, another reader the first. Names
// that differ only in case are the same here, as they are to encoding/json.
func UniqueMembers(data []byte) error { return walk(data, nil) }

// walk also holds the names against the fields of t, where there is one.
func walk(data []byte, t reflect.Type) error {
	decoder := &reader{json.NewDecoder(bytes.NewReader(data)), maxValues}
	decoder.UseNumber()
	if err := walkValue(decoder, maxDepth, t); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("has text after the JSON value")
	}
	return nil
}

// reader counts the values that it may still read.
type reader struct {
	*json.Decoder

	left int
}

func walkValue(decoder *reader, depth int, t reflect.Type) error {
	if decoder.left--; decoder.left < 0 {
		return fmt.Errorf("has more than %d values", maxValues)
	}
	token, err := decoder.Token()
	if err != nil {
		return errors.New("is not JSON")
	}
	delim, nested := token.(json.Delim)
	switch {
	case !nested:
		return nil
	case depth == 0:
		return fmt.Errorf("is nested deeper than %d", maxDepth)
	case delim == '{':
		return walkObject(decoder, depth-1, fieldsOf(t))
	default:
		return walkArray(decoder, depth-1, elementOf(t))
	}
}

func walkObject(decoder *reader, depth int, f fields) error {
	seen := make(map[string]bool)
	for decoder.More() {
		token, err := decoder.Token()
		name, isName := token.(string)
		if err != nil || !isName {
			return errors.New("is not JSON")
		}
		folded := strictjson.Fold(name)
		if seen[folded] {
			return errors.New("names a member twice")
		}
		seen[folded] = true
		t, err := f.of(name, folded)
		if err != nil {
			return err
		}
		if err := walkValue(decoder, depth, t); err != nil {
			return err
		}
	}
	return closing(decoder)
}

func walkArray(decoder *reader, depth int, element reflect.Type) error {
	for decoder.More() {
		if err := walkValue(decoder, depth, element); err != nil {
			return err
		}
	}
	return closing(decoder)
}

func closing(decoder *reader) error {
	if _, err := decoder.Token(); err != nil {
		return errors.New("is not JSON")
	}
	return nil
}
