package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"skr/internal/excerpt"
	"skr/internal/textfile"
)

// search finds the policies in an object that strictjson.Parse has accepted: its depth is
// bounded, and no name stands twice.
type search struct {
	found     []holder
	elsewhere []string // paths of what looks like a policy, under a name for something else
}

// holder is a value that holds a policy by its name.
type holder struct {
	path      string
	value     json.RawMessage
	immutable *bool // of the object around it
}

func (s *search) add(path string, value json.RawMessage, immutable *bool) {
	if !isNull(value) {
		s.found = append(s.found, holder{path, value, immutable})
	}
}

func isNull(value json.RawMessage) bool { return string(bytes.TrimSpace(value)) == "null" }

func (s *search) value(path string, value json.RawMessage) {
	switch value[0] {
	case '{':
		s.object(path, value)
	case '[':
		var elements []json.RawMessage
		_ = json.Unmarshal(value, &elements) // it was parsed before
		for i, element := range elements {
			s.value(path+"["+strconv.Itoa(i)+"]", element)
		}
	case '"':
		if text, err := policyText(value); err == nil && isPolicy(parsed(text)) {
			s.elsewhere = append(s.elsewhere, path)
		}
	}
}

func (s *search) object(path string, text []byte) {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(text, &members) // it was parsed before
	if _, found := members["anyOf"]; found && path != "" {
		s.elsewhere = append(s.elsewhere, path)
		return
	}
	_, isOurs := members["kid"] // a key as skr prints it
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value, inside := members[name], strings.TrimPrefix(path+"."+name, ".")
		switch folded := fold(name); {
		case folded == "releasepolicy":
			s.add(inside, value, new(false)) // the wire leaves false out
		case folded == "policy" && isOurs:
			s.add(inside, value, flag(members))
		default:
			s.value(inside, value)
		}
	}
}

// parsed returns the members of an object, and nil if text is not an object.
func parsed(text []byte) (members map[string]any) {
	_ = json.Unmarshal(text, &members) // members stay nil
	return members
}

// document returns the policy that was found. It refuses several with different texts.
func (s *search) document() (Document, error) {
	documents := make([]Document, len(s.found))
	paths := make([]string, len(s.found))
	for i, h := range s.found {
		d, err := h.open()
		if err != nil {
			return Document{}, err
		}
		documents[i], paths[i] = d, h.path
	}
	for _, other := range documents[1:] {
		if !bytes.Equal(other.Text, documents[0].Text) {
			return Document{}, fmt.Errorf("it has several release policies (%s): give one of them by itself", excerpt.Of(strings.Join(paths, ", ")))
		}
	}
	return documents[0], nil
}

func (h holder) open() (Document, error) {
	immutable := h.immutable
	path, value := h.path, h.value
	for range maxLayers {
		name, inner, found := held(value)
		if !found {
			break
		}
		if own := flagOf(value); own != nil {
			immutable = own
		}
		path, value = strings.TrimPrefix(path+"."+name, "."), inner
	}
	text, err := policyText(value)
	if err != nil {
		return Document{}, fmt.Errorf("%s %w", excerpt.Of(path), err)
	}
	return Document{Text: text, Source: excerpt.Of(path), Immutable: immutable}, nil
}

// carriers are the names of the policy in an object that holds it: of the SDKs and the Azure
// CLI, of the REST API (KeyReleasePolicy), of Azure PowerShell, and of a deployment parameter.
var carriers = []string{"encodedpolicy", "data", "policycontent", "value"}

// held returns the member that carries the policy in an object around it.
func held(value json.RawMessage) (name string, inner json.RawMessage, found bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(value, &members) != nil {
		return "", nil, false
	}
	if _, isPolicy := members["anyOf"]; isPolicy {
		return "", nil, false
	}
	for _, carrier := range carriers {
		for name, inner := range members {
			if fold(name) == carrier && !isNull(inner) {
				return name, inner, true
			}
		}
	}
	return "", nil, false
}

// holdsPolicy reports whether a file is a policy with its content type.
func holdsPolicy(members map[string]any) bool {
	carried, described := false, false
	for name := range members {
		switch fold(name) {
		case "encodedpolicy", "policycontent":
			return true
		case "data":
			carried = true
		case "contenttype", "immutable":
			described = true
		}
	}
	return carried && described
}

func flagOf(value json.RawMessage) *bool {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(value, &members) // it was parsed before
	return flag(members)
}

// flag returns the member immutable, and nil without one.
func flag(members map[string]json.RawMessage) (immutable *bool) {
	for name, value := range members {
		if fold(name) == "immutable" {
			_ = json.Unmarshal(value, &immutable) // other than a boolean it is ignored
		}
	}
	return immutable
}

// policyText returns the text of a policy that is an object, a string with its text or base64,
// or a list of its bytes.
func policyText(value json.RawMessage) ([]byte, error) {
	value = bytes.TrimSpace(value)
	if value[0] != '"' {
		if data, ok := byteList(value); ok {
			return data, nil
		}
		return value, nil
	}
	var text string
	_ = json.Unmarshal(value, &text) // it was parsed before
	text = strings.TrimSpace(text)
	switch decoded, ok := decode(text); {
	case strings.HasPrefix(text, "{"):
		return []byte(text), nil
	case strings.HasPrefix(text, "["):
		return nil, errors.New("is an expression that only a deployment resolves: give the policy by itself")
	case !ok || text == "":
		return nil, errors.New("is not base64 of a policy")
	default:
		return textfile.UTF8(decoded), nil
	}
}

// byteList decodes a list of bytes, or the object that JavaScript makes of a Uint8Array.
func byteList(value json.RawMessage) ([]byte, bool) {
	var list []uint16
	if json.Unmarshal(value, &list) != nil {
		var numbered map[string]uint16
		if json.Unmarshal(value, &numbered) != nil || len(numbered) == 0 {
			return nil, false
		}
		for i := range len(numbered) {
			n, found := numbered[strconv.Itoa(i)]
			if !found {
				return nil, false
			}
			list = append(list, n)
		}
	}
	data := make([]byte, len(list))
	for i, n := range list {
		if n > 255 {
			return nil, false
		}
		data[i] = byte(n)
	}
	return data, len(data) > 0
}
