package hsm

import (
	"crypto/elliptic"
	"math/big"
	"slices"
	"testing"

	"skr/internal/jose/jwk"
)

func TestPolicyHash(t *testing.T) {
	// The hash of "{}" according to sha256sum.
	const empty = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	for name, c := range map[string]struct {
		spoil func(key tree)
		want  string
	}{
		"as sent":       {func(tree) {}, empty},
		"other bytes":   {func(key tree) { at(key, "release_policy")["data"] = b64("{ }") }, "257c1be96ae69f4b01c2c69bdb6d78605f59175819fb007d0bf245bf48444c4a"},
		"contentType":   {func(key tree) { at(key, "release_policy")["contentType"] = "application/json; charset=utf-8" }, empty},
		"none":          {func(key tree) { delete(key, "release_policy") }, ""},
		"null":          {func(key tree) { key["release_policy"] = nil }, ""},
		"no data":       {func(key tree) { delete(at(key, "release_policy"), "data") }, ""},
		"a number":      {func(key tree) { at(key, "release_policy")["data"] = 5 }, ""},
		"not base64url": {func(key tree) { at(key, "release_policy")["data"] = "e30=" }, ""},
		"not an object": {func(key tree) { key["release_policy"] = "e30" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t)
			v.key, v.kty = make([]byte, 32), "oct-HSM"
			v.spoil = func(r *release) { c.spoil(at(r.payload, "response", "key")) }
			wrapped, err := v.release(keyName)
			if err != nil {
				t.Fatal(err)
			}
			key, err := wrapped.Unwrap(testKEK().Decrypter(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			defer key.Wipe()
			if key.PolicyHash() != c.want {
				t.Errorf("policy hash %q, want %q", key.PolicyHash(), c.want)
			}
		})
	}
}

// TestPrivateJWK checks that the JWK never outgrew its memory, which would leave a copy,
// and that the members are wiped.
func TestPrivateJWK(t *testing.T) {
	for name, private := range map[string]any{"RSA": newRSA(t, 2048), "EC": newEC(t, elliptic.P521())} {
		secret, err := secretMembers(private)
		if err != nil {
			t.Fatal(err)
		}
		text, err := privateJWK(jwk.Key{Kid: "kid", Kty: name, KeyOps: []string{"sign"}}, secret)
		if err != nil || len(text) != cap(text) {
			t.Errorf("%s: %d bytes in %d, %v", name, len(text), cap(text), err)
		}
		for _, m := range secret {
			if slices.Max(m.value) != 0 {
				t.Errorf("%s: member %q was not wiped", name, m.name)
			}
		}
	}
	if _, err := secretMembers("text"); err == nil {
		t.Error("secretMembers accepts a string")
	}
}

// TestEraseParsedKey checks that the intermediate parsed key is erased.
func TestEraseParsedKey(t *testing.T) {
	pair, scalar := newRSA(t, 2048), newEC(t, elliptic.P256())
	for name, c := range map[string]struct {
		key   any
		words []big.Word
	}{"RSA": {pair, pair.Primes[0].Bits()}, "EC": {scalar, scalar.D.Bits()}} { //nolint:staticcheck // the test inspects the words themselves
		if erase(c.key); slices.Max(c.words) != 0 {
			t.Errorf("%s: the private number remains", name)
		}
	}
}
