package server

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"skr/internal/refusal"
)

// memberNames returns the members of a request's JSON object, from its struct tags.
func memberNames[Req any]() []string {
	var names []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Req]()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// decode decodes a flat object of strings into the fields, which are in the order of the
// members. null means absent: System.Text.Json, Jackson and Go pointers write it for
// what is not set. encoding/json alone would ignore the case of members, use the last of
// several equal members and replace what is not Unicode with U+FFFD. Two readers of one
// body could then disagree on what it requests.
func decode(body []byte, members []string, into any) error {
	if !utf8.Valid(body) {
		return refusal.Newf(refusal.BadRequest, "the body is not UTF-8")
	}
	if !json.Valid(body) {
		return refusal.Newf(refusal.BadRequest, "the body is not one valid JSON value")
	}
	fields := reflect.ValueOf(into).Elem()
	return eachMember(body, members, func(i int, text []byte) {
		if field := fields.Field(i); field.Kind() == reflect.String {
			field.SetString(string(text))
		} else {
			field.SetBytes(bytes.Clone(text)) // a secret, which is wiped
		}
	})
}

// eachMember calls use for each member that is not null. The body is valid JSON. It must be
// an object without duplicate members, and each member a string or null. An unknown member
// must be null: programs with one class for all requests write the members of other
// requests.
func eachMember(body []byte, members []string, use func(member int, text []byte)) error {
	rest, isObject := after(body, '{')
	if !isObject {
		return refusal.Newf(refusal.BadRequest, "the body is not a JSON object")
	}
	seen := make([]bool, len(members))
	for {
		literal, behind, isText := cutText(rest)
		if !isText {
			return nil // the closing bracket
		}
		name := string(unquote(literal))
		member := slices.Index(members, name)
		behind, _ = after(behind, ':')
		switch {
		case member < 0 && !startsWithNull(behind):
			return unknownMember(name, members)
		case member >= 0 && seen[member]:
			return refusal.Newf(refusal.BadRequest, "member %q is there more than once", name)
		case member >= 0:
			seen[member] = true
		}
		var text []byte
		var err error
		if text, behind, err = cutValue(behind, name); err != nil {
			return err
		}
		if text != nil {
			use(member, text)
		}
		rest, _ = after(behind, ',')
	}
}

// cutValue cuts the value of a member from valid JSON. text is nil for null.
func cutValue(in []byte, member string) (text, rest []byte, err error) {
	if startsWithNull(in) {
		return nil, bytes.TrimLeft(in, whiteSpace)[len("null"):], nil
	}
	literal, rest, isText := cutText(in)
	if !isText {
		return nil, rest, refusal.Newf(refusal.BadRequest, "member %q is not a string", member)
	}
	text = unquote(literal)
	if bytes.ContainsRune(text, utf8.RuneError) {
		return nil, rest, refusal.Newf(refusal.BadRequest, "member %q is not Unicode text", member)
	}
	return text, rest, nil
}

func startsWithNull(text []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(text, whiteSpace), []byte("null"))
}

const whiteSpace = " \t\r\n" // RFC 8259 section 2

// after returns what follows token, if token is next after white space, and otherwise text.
func after(text []byte, token byte) (rest []byte, found bool) {
	trimmed := bytes.TrimLeft(text, whiteSpace)
	if len(trimmed) == 0 || trimmed[0] != token {
		return text, false
	}
	return trimmed[1:], true
}

// cutText cuts the next token from valid JSON if it is a string. The literal includes the
// quotes.
func cutText(text []byte) (literal, rest []byte, found bool) {
	text = bytes.TrimLeft(text, whiteSpace)
	if len(text) == 0 || text[0] != '"' {
		return nil, text, false
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return text[:i+1], text[i+1:], true
		}
	}
	return nil, text, false
}

// unquote returns the text of a string literal. A lone surrogate becomes U+FFFD.
func unquote(literal []byte) []byte {
	if bytes.IndexByte(literal, '\\') < 0 {
		return literal[1 : len(literal)-1]
	}
	var text string
	_ = json.Unmarshal(literal, &text) // it is valid
	return []byte(text)
}

var plainName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,31}$`)

// unknownMember repeats the name only if it looks like a name: a wrongly assembled body may
// have a token in its place.
func unknownMember(name string, members []string) error {
	for _, member := range members {
		if strings.EqualFold(member, name) {
			return refusal.Newf(refusal.BadRequest, "a member is in other capitals than %q", member)
		}
	}
	if plainName.MatchString(name) {
		return refusal.Newf(refusal.BadRequest, "member %q is unknown", name)
	}
	return refusal.Newf(refusal.BadRequest, "a member is unknown")
}
