package conformance

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"

	"skr/internal/strictjson"
)

const (
	maxShapeDepth   = 4
	maxShapeMembers = 64
)

// shapeOf describes a body by names, types and sizes. It holds no value.
func shapeOf(body []byte) any {
	if len(body) == 0 {
		return "empty"
	}
	if (strictjson.Decoder{}).Check(body) != nil {
		return fmt.Sprintf("%d bytes, not JSON", len(body))
	}
	return shape(body, 0)
}

func shape(value []byte, depth int) any {
	value = bytes.TrimSpace(value)
	switch value[0] {
	case '{':
		return shapeOfObject(value, depth)
	case '[':
		return fmt.Sprintf("array, %d bytes", len(value))
	case '"':
		return shapeOfText(value, depth)
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

// shapeOfText looks into a string that holds a JSON object: a released key.
func shapeOfText(value []byte, depth int) any {
	text, _ := strictjson.Text(value)
	defer wipeCopy(value, text)
	if len(text) > 0 && text[0] == '{' && (strictjson.Decoder{}).Check(text) == nil {
		return map[string]any{"string of JSON": shapeOfObject(text, depth)}
	}
	return "string, " + strconv.Itoa(len(text)) + " bytes"
}

// wipeCopy clears the text of a JSON string if it does not share memory with the string.
func wipeCopy(value, text []byte) {
	if bytes.IndexByte(value, '\\') >= 0 {
		clear(text)
	}
}

func shapeOfObject(value []byte, depth int) any {
	if depth == maxShapeDepth {
		return "object"
	}
	members := make(map[string]any)
	_ = strictjson.Decoder{}.Members(value, func(name string, value []byte) error { // the text was checked
		if len(members) < maxShapeMembers {
			members[plainName(name)] = shape(value, depth+1)
		}
		return nil
	})
	return members
}

var wordForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// plainName returns the name of a member if it is a plain word. Other text may be anything.
func plainName(name string) string {
	if wordForm.MatchString(name) {
		return name
	}
	return fmt.Sprintf("(name of %d bytes)", len(name))
}
