package conformance

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// valueAt returns the values at a path as text.
func valueAt(body any, path string) string {
	var texts []string
	for _, value := range lookup(body, path) {
		texts = append(texts, textOf(value))
	}
	return strings.Join(texts, ", ")
}

func textOf(value any) string {
	if number, is := value.(float64); is {
		return strconv.FormatFloat(number, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}

func compareMembers(body any, members string) (found []string) {
	for member := range strings.FieldsSeq(members) {
		path, kinds, _ := strings.Cut(member, ":")
		path, optional := strings.CutSuffix(path, "?")
		values := lookup(body, path)
		if len(values) == 0 && !optional && !vacuous(body, path) {
			found = append(found, path+" is missing")
		}
		for _, value := range values {
			if !slices.ContainsFunc(strings.Split(kinds, "|"), func(kind string) bool { return hasKind(value, kind) }) {
				found = append(found, fmt.Sprintf("%s is %s, not %s", path, describeKind(value), kinds))
				break
			}
		}
	}
	return found
}

// vacuous reports whether the path leads through an empty array.
func vacuous(body any, path string) bool {
	head, _, nested := strings.Cut(path, "[]")
	if !nested {
		return false
	}
	for _, value := range lookup(body, head) {
		list, is := value.([]any)
		return is && len(list) == 0
	}
	return false
}

func hasKind(value any, kind string) bool {
	if kind == "list" {
		list, is := value.([]any)
		return is && len(list) > 0
	}
	if !strings.HasPrefix(kind, "b64") {
		return kindOf(value) == kind
	}
	text, is := value.(string)
	data, err := base64.RawURLEncoding.DecodeString(text)
	if !is || err != nil || len(data) == 0 {
		return false
	}
	return kind == "b64" || kind == fmt.Sprintf("b64(%d)", len(data))
}
