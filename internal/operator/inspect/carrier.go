package inspect

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
)

// carriers are encodings of bytes in text.
var carriers = []struct {
	name   string
	decode func(text []byte) ([]byte, bool)
}{
	{"hex", decodeHex},
	{"base64", decodeBase64},
	{"JSON string", decodeString},
	{"JSON numbers", decodeNumbers},
}

func decodeHex(text []byte) ([]byte, bool) {
	compact := withoutSpace(bytes.TrimPrefix(text, []byte("0x")))
	out := make([]byte, hex.DecodedLen(len(compact)))
	_, err := hex.Decode(out, compact)
	return out, err == nil
}

// decodeBase64 decodes both alphabets, with and without padding.
func decodeBase64(text []byte) ([]byte, bool) {
	compact := bytes.TrimRight(withoutSpace(text), "=")
	encoding := base64.RawStdEncoding
	if bytes.ContainsAny(compact, "-_") {
		encoding = base64.RawURLEncoding
	}
	out := make([]byte, encoding.DecodedLen(len(compact)))
	n, err := encoding.Strict().Decode(out, compact)
	return out[:n], err == nil
}

func decodeString(text []byte) ([]byte, bool) {
	var inner string
	if text[0] != '"' || json.Unmarshal(text, &inner) != nil {
		return nil, false
	}
	return []byte(inner), true
}

func withoutSpace(text []byte) []byte { return bytes.Join(bytes.Fields(text), nil) }

// decodeNumbers reads a list of bytes as JSON numbers, which serde and others write for
// a vector of bytes. encoding/json alone would read null as 0.
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

// bytesOf returns the bytes of a JSON value: hex, base64, or a list of numbers.
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
