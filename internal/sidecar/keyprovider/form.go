package keyprovider

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"skr/internal/strictjson"
)

// Form is the encoding of bytes in an answer.
type Form int

const (
	// Base64 writes a string, like Go's encoding/json.
	Base64 Form = iota
	// Numbers writes an array of numbers, like Rust's serde_json. ocicrypt-rs reads only this
	// form (guest-components, ocicrypt-rs/src/keywrap/keyprovider); Go's encoding/json reads
	// both.
	Numbers
)

// output returns {result: {member: data}}. It uses one buffer and leaves no other copies, because data
// may be a secret.
func output(result, member string, data []byte, form Form) []byte {
	text := make([]byte, 0, len(`{"":{"":[]}}`)+len(result)+len(member)+4*len(data)) // a number has three digits and a comma
	text = append(text, `{"`+result+`":{"`+member+`":`...)
	if form == Numbers {
		text = appendNumbers(text, data)
	} else {
		text = append(base64.StdEncoding.AppendEncode(append(text, '"'), data), '"')
	}
	return append(text, "}}"...)
}

func appendNumbers(text, data []byte) []byte {
	text = append(text, '[')
	for i, b := range data {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendUint(text, uint64(b), 10)
	}
	return append(text, ']')
}

// decode parses a member of bytes. A member that is null is missing.
func decode(request strictjson.Object, path string, limit int) ([]byte, error) {
	value, _ := request.Lookup(path)
	data, err := decodeValue(value, limit)
	if err != nil {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	return data, nil
}

// decodeOptions is decode for the data to wrap, which ocicrypt-rs sends as plain JSON. Base64 never
// begins with a brace.
func decodeOptions(request strictjson.Object, path string) ([]byte, error) {
	text, _ := request.Text(path)
	if !strings.HasPrefix(text, "{") {
		return decode(request, path, maxData)
	}
	if len(text) > maxData {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, maxData)
	}
	return []byte(text), nil
}

// decodeValue parses bytes in either form: standard base64 with padding, or an array of numbers.
func decodeValue(value any, limit int) ([]byte, error) {
	switch value := value.(type) {
	case nil:
		return nil, errors.New("is missing")
	case string:
		if base64.StdEncoding.DecodedLen(len(value)) > limit+2 {
			return nil, fmt.Errorf("is longer than %d bytes", limit)
		}
		data, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return nil, errors.New("is not base64")
		}
		return data, nil
	case []any:
		return decodeNumbers(value, limit)
	default:
		return nil, errNotBytes
	}
}

var errNotBytes = errors.New("is neither base64 nor an array of bytes")

func decodeNumbers(values []any, limit int) ([]byte, error) {
	if len(values) > limit {
		return nil, fmt.Errorf("is longer than %d bytes", limit)
	}
	data := make([]byte, len(values))
	for i, value := range values {
		number, _ := value.(json.Number)
		b, err := strconv.ParseUint(number.String(), 10, 8)
		if err != nil {
			return nil, errNotBytes
		}
		data[i] = byte(b)
	}
	return data, nil
}
