package inspect

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"unicode/utf16"
)

// For unrecognised input, one line describes what its bytes look like. It shows no text from
// the input.
func TestLooks(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write([]byte("text")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 1000)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	noise[0] = 0
	var wide []byte
	for _, unit := range utf16.Encode([]rune("\ufeff{}")) {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	for _, c := range []struct{ name, data, want string }{
		{"text", "correct horse\nbattery staple\n", "2 lines of text, 28 characters"},
		{"object", `{"b":1,"a":{},"\u001b[31m":2}`, `a JSON object with the members \x1b[31m, a, b`},
		{"large object", `{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1}`, "1, 2, 3, 4, 5 and 2 more"},
		{"no members", `{}`, "a JSON object without members"},
		{"list", `["a","b"]`, "one line of JSON, a list"},
		{"YAML", "a: b\nc: d\n", "2 lines of text"},
		{"XML", "<a/>", "XML or HTML"},
		{"script", "#!/bin/sh\n", "a script"},
		{"PEM", "-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n", "PEM of the type PKCS7"},
		{"byte order mark", "\ufefftext", "one line of text, 4 characters"},
		{"white space", "  \n", "white space"},
		{"UTF-16", string(wide), "a JSON object without members"},
		{"gzip", zipped.String(), "gzip; unpack it first"},
		{"ELF", "\x7fELF\x02\x01\x01\x00", "a program (ELF)"},
		{"DER", "\x30\x03\x02\x01\x01" + strings.Repeat("\x00", 60), "DER that is neither a certificate nor a key, whose first bytes are 3003020101000000"},
		{"CBOR", "\xa1\x01\x43\x00\x01\x02", "CBOR"},
		{"zeros", strings.Repeat("\x00", 100), "zeros alone"},
		{"an unwritten index", strings.Repeat("\xff", 100), "never written"},
		{"signature", string(noise[:256]), "a bare RSA signature of 2048 bits, by its size; for a quote give it with --signature"},
		{"key", string(noise[:32]), "a hash or a key of 256 bits, by its size"},
		{"key that is also valid Chinese text", "\x00K" + strings.Repeat("N-", 15), "a hash or a key of 256 bits, by its size"},
		{"noise", string(noise), "binary data, whose first bytes are " + hex.EncodeToString(noise[:8])},
		{"in hex", hex.EncodeToString(noise), "1000 bytes in hex, which are binary data, whose first bytes are " + hex.EncodeToString(noise[:8])},
		{"in base64", base64.StdEncoding.EncodeToString(noise), "1000 bytes in base64, which are binary data"},
	} {
		_, err := Recognise([]byte(c.data))
		if err == nil || !strings.Contains(err.Error(), "this is nothing that skr knows; it looks like: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
			continue
		}
		if strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 250 {
			t.Errorf("%s: this is not one line of moderate length: %v", c.name, err)
		}
		for _, secret := range []string{"horse", "staple", hex.EncodeToString(noise[:4])} {
			if strings.Contains(err.Error(), secret) && len(c.data) < minBinary {
				t.Errorf("%s: the content is shown: %v", c.name, err)
			}
		}
	}
}

// If a file's name implies a kind, the fault for unrecognised content names that kind.
func TestUnknownFileIsJoined(t *testing.T) {
	_, err := Recognise([]byte("x"))
	joined := Join([]File{{Name: "event_log.bin", Err: err}, {Name: "notes.txt", Err: err}})
	if got := faults(joined); got != `"event_log.bin": it cannot be read as: TCG event log` {
		t.Errorf("faults %q", got)
	}
	if text := textFor(t, joined, goldenNow); !strings.Contains(text, "one line of text, 1 characters") {
		t.Errorf("the other file is not described:\n%s", text)
	}
}
