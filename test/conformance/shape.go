package conformance

import (
	"fmt"
	"math"
	"strings"
)

// opaque are members whose members have names that a user chose.
var opaque = map[string]bool{"tags": true, "x-ms-runtime": true, "x-ms-inittime": true, "x-ms-policy": true, "client-payload": true}

// Limits of a shape, so that no answer makes a report that cannot be read.
const (
	maxShape = 400 // members
	maxPath  = 200 // bytes, of a path whose members are described
	maxName  = 100 // bytes, of a member
)

// shapeOf describes a JSON value by the paths of its members, with their types and sizes. The members
// of all elements of an array are described together.
func shapeOf(value any) map[string]string {
	shape := make(map[string]string)
	addShape(shape, "", value)
	return shape
}

func addShape(shape map[string]string, path string, value any) {
	if len(shape) >= maxShape || len(path) > maxPath {
		return
	}
	kind := describeKind(value)
	if path != "" || len(shape) == 0 && !isObject(value) {
		shape[path] = merge(shape[path], kind)
	}
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			if !opaque[lastName(path)] && len(shape) < maxShape {
				addShape(shape, join(path, name), inner)
			}
		}
	case []any:
		for _, inner := range value {
			addShape(shape, path+"[]", inner)
		}
	}
}

func isObject(value any) bool { _, is := value.(map[string]any); return is }

func lastName(path string) string {
	path = strings.TrimSuffix(path, "[]")
	return path[strings.LastIndex(path, ".")+1:]
}

func join(path, name string) string {
	if len(name) > maxName {
		name = "<name>"
	}
	name = redact(strings.ReplaceAll(name, ".", "·"))
	if path == "" {
		return name
	}
	return path + "." + name
}

// merge joins the kinds of one member in several elements.
func merge(before, kind string) string {
	switch {
	case before == "":
		return kind
	case strings.Contains(" "+before+" ", " "+kind+" ") || len(before) > 100:
		return before
	}
	return before + " or " + kind
}

func describeKind(value any) string {
	switch value := value.(type) {
	case string:
		return fmt.Sprintf("string(%d)", len(value))
	case []any:
		return fmt.Sprintf("array(%d)", len(value))
	}
	return kindOf(value)
}

// kindOf returns the type of a JSON value.
func kindOf(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case bool:
		return "bool"
	case float64:
		if value == math.Trunc(value) {
			return "int"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

// lookup returns the values at a path such as "keys[].kid", one for each element.
func lookup(value any, path string) []any {
	name, rest, nested := strings.Cut(path, ".")
	name, each := strings.CutSuffix(name, "[]")
	members, is := value.(map[string]any)
	if !is {
		return nil
	}
	inner, found := members[name]
	if !found {
		return nil
	}
	values := []any{inner}
	if list, is := inner.([]any); each {
		if !is {
			return nil
		}
		values = list
	}
	if !nested {
		return values
	}
	var all []any
	for _, v := range values {
		all = append(all, lookup(v, rest)...)
	}
	return all
}

// text returns the text at a path, or "".
func (a *answer) text(path string) string {
	for _, value := range lookup(a.json, path) {
		if text, is := value.(string); is {
			return text
		}
	}
	return ""
}
