package tdx

import (
	"crypto/sha256"
	"encoding/asn1"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// TestBuiltinRoots pins Intel's root by the SHA-256 of its DER.
func TestBuiltinRoots(t *testing.T) {
	const want = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"
	roots := BuiltinRoots().list()
	if len(roots) != 1 || roots[0].Subject.CommonName != "Intel SGX Root CA" {
		t.Fatalf("%d roots", len(roots))
	}
	if sum := sha256.Sum256(roots[0].Raw); hex.EncodeToString(sum[:]) != want {
		t.Errorf("the root has the fingerprint %x", sum)
	}
}

// A value that appears twice, one of another arc, and other DER are refused.
func TestParseFields(t *testing.T) {
	below := func(last ...int) asn1.ObjectIdentifier {
		return append(sgxExtension[:len(sgxExtension):len(sgxExtension)], last...)
	}
	pair := func(id asn1.ObjectIdentifier) field { return field{id, asn1.NullRawValue} }
	for _, c := range []struct {
		name  string
		value any
		after string
		text  string
	}{
		{"good", []field{pair(below(1)), pair(below(2))}, "", ""},
		{"twice", []field{pair(below(1)), pair(below(1))}, "", "appears twice"},
		{"another arc", []field{pair(asn1.ObjectIdentifier{1, 2, 3})}, "", "contains 1.2.3"},
		{"deeper", []field{pair(below(2, 1))}, "", "contains"},
		{"no sequence", 1, "", "not a sequence"},
		{"data after it", []field{pair(below(1))}, "\x05\x00", "not a sequence"},
	} {
		der, err := asn1.Marshal(c.value)
		if err != nil {
			t.Fatal(err)
		}
		_, err = parseFields(append(der, c.after...), sgxExtension)
		if (err == nil) != (c.text == "") || err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.text)
		}
	}
}

// FuzzParsePCKExtension parses the content of the SGX extension.
func FuzzParsePCKExtension(f *testing.F) {
	raw, err := os.ReadFile("testdata/quote-4.bin")
	if err != nil {
		f.Fatal(err)
	}
	q, err := ParseQuote(raw)
	if err != nil {
		f.Fatal(err)
	}
	for _, extension := range q.pck.leaf.Extensions {
		if extension.Id.Equal(sgxExtension) {
			f.Add(extension.Value)
		}
	}
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		p, err := parsePCKExtension(der)
		if err != nil {
			return
		}
		again, err := parsePCKExtension(der)
		if err != nil || p != again {
			t.Error("two readings differ")
		}
	})
}
