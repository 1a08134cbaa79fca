package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"skr/internal/refusal"
	"skr/internal/strictjson"
)

// members are the members of a request's JSON object and their fields.
type members struct {
	names  []string
	fields [][]int // the index of each in the struct
}

// membersOf returns the members of a type, from its struct tags.
func membersOf(request reflect.Type) (m members) {
	for _, field := range reflect.VisibleFields(request) {
		if field.Anonymous {
			continue // its fields follow
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		m.names, m.fields = append(m.names, name), append(m.fields, field.Index)
	}
	return m
}

// decode decodes an object of strings, and of lists of such objects. null means absent: System.Text.Json, Jackson and Go pointers write it for
// what is not set. An unknown member must be null: programs with one class for all
// requests write the members of other requests.
func decode(body []byte, known members, into any) error {
	if !utf8.Valid(body) {
		return refusal.Newf(refusal.BadRequest, "the body is not UTF-8")
	}
	fields := reflect.ValueOf(into).Elem()
	var own error
	err := strictjson.Decoder{}.Members(body, func(name string, value []byte) error {
		i := slices.Index(known.names, name)
		switch {
		case strings.ContainsRune(name, utf8.RuneError):
			own = refusal.Newf(refusal.BadRequest, "the name of a member is not Unicode text")
		case string(value) == "null":
		case i < 0:
			own = unknownMember(name, known.names)
		default:
			own = set(fields.FieldByIndex(known.fields[i]), name, value)
		}
		return own
	})
	if own != nil {
		return own
	}
	return wrongBody(err)
}

// set assigns a JSON string, or a list of objects, to a field.
func set(field reflect.Value, name string, value []byte) error {
	if field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct {
		return setList(field, name, value)
	}
	text, isText := strictjson.Text(value)
	switch {
	case !isText:
		return refusal.Newf(refusal.BadRequest, "member %q is not a string", name)
	case bytes.ContainsRune(text, utf8.RuneError):
		return refusal.Newf(refusal.BadRequest, "member %q is not Unicode text", name)
	case field.Kind() == reflect.String:
		field.SetString(string(text))
	default:
		field.SetBytes(bytes.Clone(text)) // a secret, which is wiped
	}
	return nil
}

// maxList bounds a list before its objects are decoded.
const maxList = 1000

// setList assigns a list of objects of strings.
func setList(field reflect.Value, name string, value []byte) error {
	var items []json.RawMessage
	switch {
	case json.Unmarshal(value, &items) != nil:
		return refusal.Newf(refusal.BadRequest, "member %q is not a list of objects", name)
	case len(items) > maxList:
		return refusal.Newf(refusal.BadRequest, "member %q has more than %d entries", name, maxList)
	}
	known := membersOf(field.Type().Elem())
	field.Set(reflect.MakeSlice(field.Type(), len(items), len(items)))
	for i, item := range items {
		err := decode(item, known, field.Index(i).Addr().Interface())
		clear(item) // it may hold secrets
		if err != nil {
			return inEntry(name, i, err)
		}
	}
	return nil
}

// inEntry adds to a refusal which entry of a list it is about.
func inEntry(list string, i int, err error) error {
	refused, ok := errors.AsType[*refusal.Error](err)
	if !ok {
		return err
	}
	reason := strings.TrimPrefix(refused.Reason, "the body ")
	return refusal.Newf(refused.Kind, "entry %d of member %q: %s", i+1, list, reason)
}

// wrongBody returns why the body cannot be used, without quoting it.
func wrongBody(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, strictjson.ErrNotObject):
		return refusal.Newf(refusal.BadRequest, "the body is not a JSON object")
	case errors.Is(err, strictjson.ErrRepeated):
		return refusal.Newf(refusal.BadRequest, "the body %v", err)
	}
	return refusal.Newf(refusal.BadRequest, "the body is not one valid JSON value")
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
