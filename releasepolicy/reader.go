package releasepolicy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// reader returns the tokens of a policy one by one and knows where each begins.
type reader struct {
	data   []byte
	tokens *json.Decoder
	start  int // offset of the current token
	cursor cursor
}

func newReader(data []byte) *reader {
	own := bytes.Clone(data)
	tokens := json.NewDecoder(bytes.NewReader(own))
	tokens.UseNumber()
	return &reader{data: own, tokens: tokens, cursor: newCursor(own)}
}

// list reads a JSON array with at least one element.
func list[T any](r *reader, element func() (T, error)) ([]T, error) {
	if err := r.delimiter('[', "a list"); err != nil {
		return nil, err
	}
	at := r.start
	var all []T
	for r.tokens.More() {
		one, err := element()
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	if err := r.delimiter(']', "the end of the list"); err != nil {
		return nil, err
	}
	if all == nil {
		return nil, r.errorAt(at, "the list must not be empty")
	}
	return all, nil
}

// object reads a JSON object and calls member for each member, which must read its value.
// The names must differ. It returns where the object begins.
func (r *reader) object(what string, member func(name string) error) (begin place, err error) {
	if err := r.delimiter('{', what); err != nil {
		return begin, err
	}
	begin = r.cursor.place(r.start)
	seen := make(map[string]bool)
	for r.tokens.More() {
		name, err := r.string("a member's name")
		if err != nil {
			return begin, err
		}
		if seen[name] {
			return begin, r.errorHere("member %q is repeated", name)
		}
		seen[name] = true
		if err := member(name); err != nil {
			return begin, err
		}
	}
	return begin, r.delimiter('}', "the end of "+what)
}

func (r *reader) string(what string) (string, error) {
	token, err := r.next()
	if err != nil {
		return "", err
	}
	text, ok := token.(string)
	if !ok {
		return "", r.errorHere("%s must be a string", what)
	}
	return text, nil
}

func (r *reader) delimiter(want json.Delim, what string) error {
	token, err := r.next()
	if err == nil && token != want {
		err = r.errorHere("expecting %s, which %q marks", what, want.String())
	}
	return err
}

func (r *reader) end() error {
	_, err := r.tokens.Token()
	if errors.Is(err, io.EOF) {
		return nil
	}
	r.start = r.skipSpace(r.start + 1)
	return r.errorHere("nothing may follow the policy")
}

func (r *reader) next() (json.Token, error) {
	end := int(r.tokens.InputOffset())
	r.start = r.skipSpace(end)
	token, err := r.tokens.Token()
	switch e, isSyntax := errors.AsType[*json.SyntaxError](err); {
	case err == nil:
		return token, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, r.errorAt(len(r.data), "ends too early")
	case isSyntax && r.commaBeforeEnd(end):
		return nil, r.errorAt(r.skipBlanks(end), "a comma must not stand before %q", r.data[r.start])
	case isSyntax:
		return nil, r.errorHere("is not JSON: %s", e)
	}
	return nil, r.errorHere("is not JSON")
}

// commaBeforeEnd reports whether what follows a token's end is a comma before a closing
// bracket, which JavaScript allows and JSON does not.
func (r *reader) commaBeforeEnd(end int) bool {
	at := r.skipBlanks(end)
	return at < len(r.data) && r.data[at] == ',' && r.start < len(r.data) && strings.IndexByte("]}", r.data[r.start]) >= 0
}

// skipSpace returns the offset behind what may stand between two tokens.
func (r *reader) skipSpace(at int) int { return r.skip(at, " \t\r\n,:") }

func (r *reader) skipBlanks(at int) int { return r.skip(at, " \t\r\n") }

func (r *reader) skip(at int, these string) int {
	for at < len(r.data) && strings.IndexByte(these, r.data[at]) >= 0 {
		at++
	}
	return at
}

func (r *reader) errorHere(format string, args ...any) error {
	return r.errorAt(r.start, format, args...)
}

func (r *reader) errorAt(offset int, format string, args ...any) error {
	from := newCursor(r.data)
	return from.place(min(offset, len(r.data))).errorf(format, args...)
}
