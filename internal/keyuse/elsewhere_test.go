package keyuse

import (
	"slices"
	"testing"
)

// TestRightsInVault checks that the rights of a key in its vault never have a release.
func TestRightsInVault(t *testing.T) {
	for _, names := range [][]string{nil, {"sign"}, {"decrypt", "unwrapkey"}} {
		r, err := ParseRightsInVault(names)
		if err != nil || r.Permit(Release) || !r.InVault() || r.Limits.SessionKey != 0 || r.Permit(Encrypt) != (names == nil) {
			t.Errorf("%v: %+v, %v", names, r, err)
		}
	}
	for _, names := range [][]string{{"release"}, {"sign", "Release"}, {"other"}} {
		if _, err := ParseRightsInVault(names); err == nil {
			t.Errorf("%v is accepted", names)
		}
	}
}

// TestElsewhere checks that the checks for a key that is elsewhere accept what a key here does, and
// refuse a result that was altered.
func TestElsewhere(t *testing.T) {
	text := []byte("sixteen bytes 16")
	digest := make([]byte, 32)
	rsa := opened(t, newRSA(t, 2048))
	public := rsa.family.public()
	for _, c := range []struct {
		key       *Key
		elsewhere Elsewhere
		op        Operation
		in        Input
	}{
		{rsa, Elsewhere{public}, Encrypt, Input{Algorithm: "RSA-OAEP", Value: text}},
		{rsa, Elsewhere{public}, Sign, Input{Algorithm: "PS256", Value: digest}},
		{symmetric(t, a256), Elsewhere{}, Encrypt, Input{Algorithm: "A256GCM", Value: text}},
		{symmetric(t, a256), Elsewhere{}, Encrypt, Input{Algorithm: "A256CBC", Value: text, IV: digest[:16]}},
		{symmetric(t, a256), Elsewhere{}, Encrypt, Input{Algorithm: "A256CBCPAD", Value: text, IV: digest[:16]}},
		{symmetric(t, a256), Elsewhere{}, WrapKey, Input{Algorithm: "A256KW", Value: text}},
		{symmetric(t, a256), Elsewhere{}, WrapKey, Input{Algorithm: "CKM_AES_KEY_WRAP_PAD", Value: append(text, 1)}},
		{symmetric(t, a256), Elsewhere{}, Sign, Input{Algorithm: "HS256", Value: digest}},
	} {
		if err := c.elsewhere.Check(c.op, c.in); err != nil {
			t.Errorf("%s: %v", c.in.Algorithm, err)
		}
		out, err := c.key.Do(c.op, c.in, Limits{})
		if err != nil || !c.elsewhere.Accepts(c.op, c.in, out) {
			t.Errorf("%s: %+v, %v", c.in.Algorithm, out, err)
		}
		out.Value = slices.Concat(out.Value, []byte{0})
		if c.elsewhere.Accepts(c.op, c.in, out) {
			t.Errorf("%s: a longer result is accepted", c.in.Algorithm)
		}
	}
}
