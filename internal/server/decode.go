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

// memberNames of the JSON object that a request is, in its struct tags.
func memberNames[Req any]() []string {
	var names []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Req]()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// decode reads a flat object of strings. encoding/json alone would match
// members in any capitals, let the last of several win, put U+FFFD in place of
// what is not Unicode and take null for "": two readers of one body could then
// disagree on what it asks for.
func decode(body []byte, members []string, into any) error {
	if !utf8.Valid(body) {
		return refusal.Newf(refusal.BadRequest, "the body is not UTF-8")
	}
	if !json.Valid(body) {
		return refusal.Newf(refusal.BadRequest, "the body is not one valid JSON value")
	}
	if err := checkMembers(body, members); err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return refusal.Newf(refusal.BadRequest, "the body is not the expected JSON")
	}
	return nil
}

// checkMembers of a body that is valid JSON.
func checkMembers(body []byte, members []string) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if begin, err := decoder.Token(); err != nil || begin != json.Delim('{') {
		return refusal.Newf(refusal.BadRequest, "the body is not a JSON object")
	}
	seen := make(map[string]bool, len(members))
	for decoder.More() {
		token, _ := decoder.Token()
		name, _ := token.(string)
		switch {
		case !slices.Contains(members, name):
			return unknownMember(name, members)
		case seen[name]:
			return refusal.Newf(refusal.BadRequest, "member %q is there more than once", name)
		}
		seen[name] = true
		if err := checkString(decoder, name); err != nil {
			return err
		}
	}
	return nil
}

// checkString reads one value. An array or object is refused at its first
// bracket, so nothing nests.
func checkString(decoder *json.Decoder, name string) error {
	value, err := decoder.Token()
	text, ok := value.(string)
	switch {
	case err != nil || !ok:
		return refusal.Newf(refusal.BadRequest, "member %q is not a string", name)
	case strings.ContainsRune(text, utf8.RuneError):
		return refusal.Newf(refusal.BadRequest, "member %q is not Unicode text", name)
	}
	return nil
}

var plainName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,31}$`)

// unknownMember repeats the name only if it looks like one: a body that was put
// together wrongly may have a token in its place.
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
