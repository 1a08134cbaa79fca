// Package textfile reads text files as the tools of their authors write them.
//
//	text := textfile.UTF8(data)
//
// Windows PowerShell redirects output in UTF-16, and editors put a byte order mark in
// front of UTF-8. What a file says does not depend on either. Line ends stay as they are:
// JSON, YAML, PEM and base64 take both kinds.
package textfile

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// Byte order marks (Unicode 15.0, section 23.8).
var (
	mark8  = []byte("\xef\xbb\xbf")
	markLE = []byte("\xff\xfe")
	markBE = []byte("\xfe\xff")
)

// UTF8 returns the text of a file in UTF-8, without a byte order mark. It reads UTF-16 of
// both byte orders and, if the text is mostly ASCII, also without the mark. Data that is no
// such text is returned unchanged. The result may share memory with data.
func UTF8(data []byte) []byte {
	if text, marked := bytes.CutPrefix(data, mark8); marked {
		return text
	}
	order, units := byteOrder(data)
	if order == nil || len(units)%2 != 0 {
		return data
	}
	marked := len(units) < len(data)
	if text, ok := decode(units, order); ok && (marked || mostlyASCII(text)) {
		return text
	}
	return data
}

// byteOrder returns nil if data is not UTF-16. Without a mark it goes by the first
// character, which is ASCII in every text that this program reads.
func byteOrder(data []byte) (order binary.ByteOrder, units []byte) {
	switch {
	case bytes.HasPrefix(data, markLE):
		return binary.LittleEndian, data[len(markLE):]
	case bytes.HasPrefix(data, markBE):
		return binary.BigEndian, data[len(markBE):]
	case len(data) >= 2 && isASCII(data[0]) && data[1] == 0:
		return binary.LittleEndian, data
	case len(data) >= 2 && data[0] == 0 && isASCII(data[1]):
		return binary.BigEndian, data
	}
	return nil, nil
}

// mostlyASCII distinguishes a text from random bytes, such as a key's, of which most pairs are
// characters, but of other scripts.
func mostlyASCII(text []byte) bool {
	others := 0
	for rest := text; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest) // no string: it may be a private key
		if r >= utf8.RuneSelf {
			others++
		}
		rest = rest[size:]
	}
	return 2*others <= utf8.RuneCount(text)
}

// decode reports false for data that holds more than text: binary data may begin with a
// mark too.
func decode(units []byte, order binary.ByteOrder) ([]byte, bool) {
	text := make([]byte, 0, len(units)/2*3) // never grows: it may hold a private key
	for len(units) > 0 {
		r := rune(order.Uint16(units))
		units = units[2:]
		if utf16.IsSurrogate(r) {
			if len(units) < 2 {
				return nil, false
			}
			r = utf16.DecodeRune(r, rune(order.Uint16(units)))
			units = units[2:]
		}
		if r == utf8.RuneError || r < ' ' && r != '\t' && r != '\n' && r != '\r' {
			return nil, false
		}
		text = utf8.AppendRune(text, r)
	}
	return text, true
}

func isASCII(b byte) bool { return b != 0 && b < utf8.RuneSelf }
