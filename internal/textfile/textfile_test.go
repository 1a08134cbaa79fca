package textfile

import (
	"testing"
	"unicode/utf8"
)

func TestUTF8(t *testing.T) {
	for data, want := range map[string]string{
		"":                                 "",
		"plain\r\n":                        "plain\r\n",
		"\xef\xbb\xbf{}":                   "{}",
		"\xff\xfe{\x00}\x00":               "{}",
		"\xfe\xff\x00{\x00}":               "{}",
		"{\x00}\x00\r\x00\n\x00":           "{}\r\n",
		"\x00{\x00}":                       "{}",
		"\xff\xfe\x3d\xd8\x00\xde":         "\U0001f600",
		"\xff\xfe\xac\x20":                 "€",
		"\xff\xfe":                         "",
		"\xff\xfe{":                        "\xff\xfe{",                        // half a character
		"\xff\xfe\x3d\xd8":                 "\xff\xfe\x3d\xd8",                 // half a pair
		"\xff\xfe\x3d\xd8{\x00":            "\xff\xfe\x3d\xd8{\x00",            // half a pair
		"\x02\x00\x00\x00\x00\x00\x00\x00": "\x02\x00\x00\x00\x00\x00\x00\x00", // an attestation report
		"\x00\x01\x00\x00":                 "\x00\x01\x00\x00",
		"\x00KN-e\x87ri":                   "\x00KN-e\x87ri", // a key: its bytes are also valid Chinese text in UTF-16
		"K\x00-N\x87eir":                   "K\x00-N\x87eir",
	} {
		if got := string(UTF8([]byte(data))); got != want {
			t.Errorf("%q: %q, want %q", data, got, want)
		}
	}
}

func FuzzUTF8(f *testing.F) {
	f.Add([]byte("\xff\xfe{\x00}\x00"))
	f.Add([]byte("\x00{\x00}"))
	f.Add([]byte("\xff\xfe\x3d\xd8"))
	f.Fuzz(func(t *testing.T, data []byte) {
		text := UTF8(data)
		if len(text) > 2*len(data) || utf8.Valid(data) && !utf8.Valid(text) {
			t.Fatalf("%q was converted to %q", data, text)
		}
	})
}
