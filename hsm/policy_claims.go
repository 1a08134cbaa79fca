package hsm

import (
	"encoding/json"
	"errors"
	"fmt"
)

// maxClaims bounds the claims of a token in bytes. Tokens of confidential
// virtual machines have about 3 KiB, with runtime data up to some tens.
const maxClaims = 1 << 20

// claimSet indexes the members of one object of a token. Objects below are
// indexed only when a path leads into them, which keeps an evaluation faster
// than decoding the whole token.
type claimSet struct {
	members map[string]*claimValue
	broken  error // of the root set: the first fault found below
}

// claimValue is one member of an object.
type claimValue struct {
	raw    []byte
	text   string    // canonical text; the JSON of objects and arrays
	scalar bool      // a string, number or boolean
	object *claimSet // index, once a path led here
}

func parseClaims(claims json.RawMessage) (*claimSet, error) {
	if len(claims) > maxClaims {
		return nil, fmt.Errorf("the claims are longer than %d bytes", maxClaims)
	}
	if !json.Valid(claims) {
		return nil, errors.New("the claims are not JSON")
	}
	start := skipBlank(claims, 0)
	if claims[start] != '{' {
		return nil, errors.New("the claims are not a JSON object")
	}
	return indexObject(claims[start:])
}

// lookup follows the path through nested objects. A null counts as absent.
func (s *claimSet) lookup(path []string) (value claimValue, found bool) {
	set := s
	for i, name := range path {
		v := set.members[name]
		switch {
		case v == nil:
			return claimValue{}, false
		case i == len(path)-1:
			v.render()
			return *v, v.raw[0] != 'n'
		case v.raw[0] != '{':
			return claimValue{}, false
		}
		if set = s.descend(v); set == nil {
			return claimValue{}, false
		}
	}
	return claimValue{}, false
}

func (s *claimSet) descend(v *claimValue) *claimSet {
	if v.object == nil {
		object, err := indexObject(v.raw)
		if err != nil {
			s.broken = err
			return nil
		}
		v.object = object
	}
	return v.object
}

// render makes the canonical text once it is asked for.
func (v *claimValue) render() {
	if v.text != "" {
		return
	}
	switch v.raw[0] {
	case 'n':
	case '"':
		v.text, v.scalar = unquote(v.raw), true
	case '{', '[':
		v.text = string(v.raw)
	case 't', 'f':
		v.text, v.scalar = string(v.raw), true
	default:
		v.text, v.scalar = canonicalNumber(string(v.raw)), true
	}
}

// indexObject indexes the object that valid JSON begins with.
func indexObject(data []byte) (*claimSet, error) {
	set := &claimSet{members: make(map[string]*claimValue, 32)}
	at := skipBlank(data, 1)
	for data[at] != '}' {
		end := endOfString(data, at)
		name := unquote(data[at:end])
		at = skipBlank(data, skipBlank(data, end)+1) // the colon
		end = endOfValue(data, at)
		if set.members[name] != nil {
			return nil, fmt.Errorf("the claims name %q twice", name)
		}
		set.members[name] = &claimValue{raw: data[at:end]}
		if at = skipBlank(data, end); data[at] == ',' {
			at = skipBlank(data, at+1)
		}
	}
	return set, nil
}

// The scanner below runs only over JSON that json.Valid has accepted, so that
// each quote and bracket has its partner.

func skipBlank(data []byte, at int) int {
	for data[at] == ' ' || data[at] == '\n' || data[at] == '\r' || data[at] == '\t' {
		at++
	}
	return at
}

// endOfString is the offset after the string that begins at the offset.
func endOfString(data []byte, at int) int {
	for at++; data[at] != '"'; at++ {
		if data[at] == '\\' {
			at++
		}
	}
	return at + 1
}

// endOfValue is the offset after the value that begins at the offset.
func endOfValue(data []byte, at int) int {
	depth := 0
	for {
		switch data[at] {
		case '"':
			at = endOfString(data, at) - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		default:
			if depth == 0 {
				return endOfWord(data, at)
			}
		}
		at++
		if depth == 0 {
			return at
		}
	}
}

// endOfWord is the offset after a number, true, false or null inside an object.
func endOfWord(data []byte, at int) int {
	for {
		switch data[at] {
		case ',', '}', ']', ' ', '\n', '\r', '\t':
			return at
		}
		at++
	}
}

func unquote(quoted []byte) string {
	inner := quoted[1 : len(quoted)-1]
	for _, c := range inner {
		if c == '\\' || c >= 0x80 {
			var text string
			_ = json.Unmarshal(quoted, &text) // valid JSON: it cannot fail
			return text
		}
	}
	return string(inner)
}
