package hsm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// policyReader walks the tokens of a policy and knows where each begins.
type policyReader struct {
	data   []byte
	tokens *json.Decoder
	start  int // offset of the current token
}

func newPolicyReader(data []byte) *policyReader {
	own := bytes.Clone(data)
	tokens := json.NewDecoder(bytes.NewReader(own))
	tokens.UseNumber()
	return &policyReader{data: own, tokens: tokens}
}

// list reads a JSON array with at least one element.
func list[T any](r *policyReader, element func() (T, error)) ([]T, error) {
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

// object reads a JSON object; member reads the value of each member, whose
// names must differ. It returns where the object begins.
func (r *policyReader) object(what string, member func(name string) error) (at int, err error) {
	if err := r.delimiter('{', what); err != nil {
		return r.start, err
	}
	at = r.start
	seen := make(map[string]bool)
	for r.tokens.More() {
		name, err := r.string("a member's name")
		if err != nil {
			return at, err
		}
		if seen[name] {
			return at, r.errorHere("member %q is repeated", name)
		}
		seen[name] = true
		if err := member(name); err != nil {
			return at, err
		}
	}
	return at, r.delimiter('}', "the end of "+what)
}

func (r *policyReader) string(what string) (string, error) {
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

func (r *policyReader) delimiter(want json.Delim, what string) error {
	token, err := r.next()
	if err == nil && token != want {
		err = r.errorHere("expecting %s, which %q marks", what, want.String())
	}
	return err
}

func (r *policyReader) end() error {
	_, err := r.tokens.Token()
	if errors.Is(err, io.EOF) {
		return nil
	}
	r.start = r.skipSpace(r.start + 1)
	return r.errorHere("nothing may follow the policy")
}

func (r *policyReader) next() (json.Token, error) {
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

// commaBeforeEnd says whether, after a token's end, a comma closes a list or an
// object, as JavaScript allows.
func (r *policyReader) commaBeforeEnd(end int) bool {
	at := r.skipBlanks(end)
	return at < len(r.data) && r.data[at] == ',' && r.start < len(r.data) && strings.IndexByte("]}", r.data[r.start]) >= 0
}

// skipSpace passes what stands between two tokens.
func (r *policyReader) skipSpace(at int) int { return r.skip(at, " \t\r\n,:") }

func (r *policyReader) skipBlanks(at int) int { return r.skip(at, " \t\r\n") }

func (r *policyReader) skip(at int, these string) int {
	for at < len(r.data) && strings.IndexByte(these, r.data[at]) >= 0 {
		at++
	}
	return at
}

func (r *policyReader) errorHere(format string, args ...any) error {
	return r.errorAt(r.start, format, args...)
}

func (r *policyReader) errorAt(offset int, format string, args ...any) error {
	before := r.data[:min(offset, len(r.data))]
	line := bytes.Count(before, []byte{'\n'}) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return &PolicyError{line, column, fmt.Sprintf(format, args...)}
}
