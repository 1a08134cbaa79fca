package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"unicode/utf8"
)

const redacted = "[redacted]"

// Secret is text that redacts itself: fmt and log/slog print "[redacted]".
// encoding/json writes and reads the true value, because that is the wire format. Do
// not log a struct that contains one through a JSON handler.
//
// It is a byte slice, not a string, so that it can be wiped.
type Secret []byte

// String redacts.
func (s Secret) String() string { return redacted }

// GoString redacts the %#v form.
func (s Secret) GoString() string { return redacted }

// Format redacts every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue redacts in log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Wipe overwrites the secret with zeros.
func (s Secret) Wipe() { clear(s) }

// MarshalJSON writes the true value as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) {
	if !utf8.Valid(s) {
		return nil, errors.New("a secret is not UTF-8")
	}
	return s.AppendJSON(nil), nil
}

// AppendJSON appends the true value as a JSON string (RFC 8259 section 7). It allocates
// at most once and leaves no other copy, unlike encoding/json with its pooled buffers.
func (s Secret) AppendJSON(dst []byte) []byte {
	dst = grow(dst, maxJSON(s))
	dst = append(dst, '"')
	for _, b := range s {
		switch {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case b < ' ':
			dst = fmt.Appendf(dst, `\u%04x`, b)
		default:
			dst = append(dst, b)
		}
	}
	return append(dst, '"')
}

// maxJSON returns the size of s as a JSON string if every byte must be escaped.
func maxJSON(s Secret) int { return len(`"`) + len(`\u0000`)*len(s) + len(`"`) }

// grow makes room for n bytes in one allocation. slices.Grow makes two if the compiler
// does not optimise it, as under the race detector.
func grow(dst []byte, n int) []byte {
	if cap(dst)-len(dst) >= n {
		return dst
	}
	return append(make([]byte, 0, len(dst)+n), dst...)
}

// UnmarshalJSON decodes a JSON string.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return errors.New("a secret is not a JSON string")
	}
	*s = Secret(text)
	return nil
}
