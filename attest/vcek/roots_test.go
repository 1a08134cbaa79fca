package vcek

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBuiltinRoots pins AMD's ARKs by the SHA-256 of their DER. An update of the module
// that contains them cannot change them unnoticed.
func TestBuiltinRoots(t *testing.T) {
	want := map[string]string{
		"ARK-Milan": "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
		"ARK-Genoa": "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",
		"ARK-Turin": "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a",
	}
	if diff := cmp.Diff(want, fingerprints(BuiltinRoots())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func fingerprints(roots *Roots) map[string]string {
	got := map[string]string{}
	for _, ark := range roots.arks {
		sum := sha256.Sum256(ark.Raw)
		got[ark.Subject.CommonName] = hex.EncodeToString(sum[:])
	}
	return got
}

func TestParseRoots(t *testing.T) {
	m := milan(t)
	leaf, ask, ark := blocks(t, chainPEM(t, m.first, m.first.TCB()))
	_, _, turinARK := blocks(t, chainPEM(t, turin(t).first, turin(t).first.TCB()))
	corrupt := bytes.Clone(chainOf(t, m.first).root.Raw)
	corrupt[len(corrupt)-1] ^= 1
	_, selfSigned := unsignedByAMD(t, nil)
	for _, test := range []struct {
		name, text string
		want       int
		wrong      string
	}{
		{"one", ark, 1, ""},
		{"two", ark + turinARK, 2, ""},
		{"with the ASK", ask + ark, 1, ""},
		{"CRLF", string(crlf([]byte(ark))), 1, ""},
		{"none", "", 0, "no self-signed ARK"},
		{"no ARK", leaf + ask, 0, "no self-signed ARK"},
		{"another self-signed certificate", ark + selfSigned, 0, "not named as an ARK"},
		{"garbage", "x", 0, "outside of the blocks"},
		{"a bad signature", pemOf(corrupt), 0, `"ARK-Milan": crypto/rsa: verification error`},
	} {
		t.Run(test.name, func(t *testing.T) {
			roots, err := ParseRoots([]byte(test.text))
			checkError(t, err, test.wrong)
			if err == nil && len(roots.arks) != test.want {
				t.Errorf("got %d roots, want %d", len(roots.arks), test.want)
			}
		})
	}
}
