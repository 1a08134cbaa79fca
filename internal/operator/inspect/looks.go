package inspect

import (
	"bytes"
	"cmp"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"skr/internal/check"

	"github.com/fxamacker/cbor/v2"
)

// unknownError is the error for data of an unknown kind.
type unknownError struct{ text string }

func (e *unknownError) Error() string        { return e.text }
func (e *unknownError) Is(target error) bool { return target == errOther }

const (
	maxNames   = 5
	maxName    = 40 // characters
	firstBytes = 8
	minBinary  = 64 // bytes; the beginning of shorter data may be that of a secret
)

// unknown describes in one line what the bytes look like. Of a text it shows only names,
// because a text may be a password.
func unknown(data []byte) error {
	in := newInput(data)
	var form string
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		form = "white space alone"
	case in.isObject:
		form = "a JSON object " + memberNames(in.object.Members())
	case in.text == nil:
		form = binaryForm(data)
	default:
		form = textForm(in.text)
	}
	return &unknownError{"this is nothing that skr knows; it looks like: " + form}
}

func memberNames(members map[string]any) string {
	if len(members) == 0 {
		return "without members"
	}
	names := slices.Sorted(maps.Keys(members))
	rest := ""
	if len(names) > maxNames {
		rest = fmt.Sprintf(" and %d more", len(names)-maxNames)
		names = names[:maxNames]
	}
	for i, name := range names {
		names[i] = check.Printable(shortened(name))
	}
	return "with the members " + strings.Join(names, ", ") + rest
}

func shortened(name string) string {
	if runes := []rune(name); len(runes) > maxName {
		return string(runes[:maxName]) + "…"
	}
	return name
}

// textForm is of data that is UTF-8 without NUL.
func textForm(text []byte) string {
	lines := bytes.Count(text, []byte("\n")) + 1
	counted := fmt.Sprintf("%d lines of", lines)
	if lines == 1 {
		counted = "one line of"
	}
	block, _ := pem.Decode(text)
	switch {
	case block != nil:
		return "PEM of the type " + check.Printable(shortened(block.Type))
	case text[0] == '[':
		return counted + " JSON, a list"
	case text[0] == '<':
		return counted + " XML or HTML"
	case bytes.HasPrefix(text, []byte("#!")):
		return "a script"
	}
	if data, ok := decodeHex(text); ok {
		return fmt.Sprintf("%d bytes in hex, which are %s", len(data), binaryForm(data))
	}
	if data, ok := decodeBase64(text); ok && len(data) >= minBinary {
		return fmt.Sprintf("%d bytes in base64, which are %s", len(data), innerForm(data))
	}
	return fmt.Sprintf("%s text, %d characters", counted, utf8.RuneCount(text))
}

func innerForm(data []byte) string {
	if newInput(data).text != nil {
		return "text"
	}
	return binaryForm(data)
}

// magics are the first bytes of files that people mistake for one another.
var magics = []struct{ prefix, form string }{
	{"\x1f\x8b", "gzip; unpack it first"}, {"\x7fELF", "a program (ELF)"}, {"PK\x03\x04", "a zip archive; unpack it first"},
	{"\xfd7zXZ\x00", "xz; unpack it first"}, {"\x28\xb5\x2f\xfd", "zstd; unpack it first"}, {"BZh", "bzip2; unpack it first"},
	{"MZ", "a program for Windows or UEFI"}, {"%PDF", "PDF"}, {"\x89PNG", "an image (PNG)"}, {"IGVM", "an IGVM file, which is measured and not evidence"},
	{"\xd0\x0d\xfe\xed", "a device tree"}, {"SQLite format 3\x00", "a database (SQLite)"},
}

func binaryForm(data []byte) string {
	for _, magic := range magics {
		if bytes.HasPrefix(data, []byte(magic.prefix)) {
			return magic.form
		}
	}
	if form := sizedForm(data); form != "" {
		return form
	}
	form := cmp.Or(encodedForm(data), "binary data")
	if len(data) < minBinary {
		return form
	}
	return fmt.Sprintf("%s, whose first bytes are %x", form, data[:firstBytes])
}

// sizedForm returns what the size alone identifies.
func sizedForm(data []byte) string {
	switch {
	case len(bytes.Trim(data, "\x00")) == 0:
		return "zeros alone"
	case len(bytes.Trim(data, "\xff")) == 0:
		return "an NV index or flash that was never written (only 0xff)"
	case len(data) == 256, len(data) == 384, len(data) == 512:
		return fmt.Sprintf("a bare RSA signature of %d bits, by its size; for a quote give it with --signature", 8*len(data))
	case len(data) == 32, len(data) == 48, len(data) == 64:
		return fmt.Sprintf("a hash or a key of %d bits, by its size", 8*len(data))
	}
	return ""
}

// encodedForm recognises DER and CBOR. Short data may be CBOR by accident, so only maps, lists
// and tags count.
func encodedForm(data []byte) string {
	if _, ok := sequence(data); ok {
		return "DER that is neither a certificate nor a key"
	}
	if data[0] >= 0x80 && data[0] < 0xe0 && cbor.Wellformed(data) == nil {
		return "CBOR"
	}
	return ""
}
