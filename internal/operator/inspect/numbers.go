package inspect

import (
	"bytes"
	"encoding/json"
)

// decodeNumbers reads a list of bytes as JSON numbers, which serde and others write for
// a vector of bytes. encoding/json would take null for 0.
func decodeNumbers(text []byte) ([]byte, bool) {
	list, found := bytes.CutPrefix(text, []byte("["))
	if !found || bytes.ContainsFunc(list, isNoNumber) {
		return nil, false
	}
	var data []byte
	err := json.Unmarshal(text, &data)
	return data, err == nil
}

func isNoNumber(r rune) bool {
	return (r < '0' || r > '9') && r != ',' && r != ']' && r != ' ' && r != '\t' && r != '\r' && r != '\n'
}

// bytesOf is the bytes of a JSON value: hex, base64, or a list of numbers.
func bytesOf(value any) ([]byte, bool) {
	switch value := value.(type) {
	case string:
		if data, ok := decodeHex([]byte(value)); ok {
			return data, true
		}
		return decodeBase64([]byte(value))
	case []any:
		text, err := json.Marshal(value)
		if err != nil {
			return nil, false
		}
		return decodeNumbers(text)
	}
	return nil, false
}
