// Package textfile decodes text files in the encodings that common tools write.
//
//	text := textfile.UTF8(data)
//
// Windows PowerShell redirects output in UTF-16, and some editors write a byte order mark before UTF-8. Line
// ends stay unchanged: JSON, YAML, PEM and base64 accept both kinds.
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

// UTF8 returns the text of a file in UTF-8 without a byte order mark. It decodes UTF-16 of both byte orders
// and, if the text is mostly ASCII, also without the mark. It returns other data unchanged. The result may
// share memory with data.
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

// byteOrder returns nil if data is not UTF-16. Without a mark, the first character determines the order: it
// is ASCII in every text that this program reads.
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

// mostlyASCII distinguishes text from random bytes, such as a key. Most pairs of random bytes are characters,
// but of other scripts.
func mostlyASCII(text []byte) bool {
	others := 0
	for rest := text; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest) // not as a string: it may be a private key
		if r >= utf8.RuneSelf {
			others++
		}
		rest = rest[size:]
	}
	return 2*others <= utf8.RuneCount(text)
}

// decode returns false if the data is not only text: binary data may also begin with a mark.
func decode(units []byte, order binary.ByteOrder) ([]byte, bool) {
	text := make([]byte, 0, len(units)/2*3) // must not grow, which would leave a copy of a private key
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
