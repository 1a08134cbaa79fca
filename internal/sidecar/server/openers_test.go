package server

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"

	"skr/hsm"
	"skr/internal/keyuse"
	"skr/test/rsakey"
)

func rsaKey(t *testing.T) *hsm.Key {
	t.Helper()
	pair, err := rsakey.Generate(2048)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	members, err := json.Marshal(map[string]string{
		"kty": "RSA", "n": text(pair.N.Bytes()), "e": "AQAB", "d": text(pair.D.Bytes()),
		"p": text(pair.Primes[0].Bytes()), "q": text(pair.Primes[1].Bytes()),
		"dp": text(pair.Precomputed.Dp.Bytes()), "dq": text(pair.Precomputed.Dq.Bytes()), "qi": text(pair.Precomputed.Qinv.Bytes()),
	})
	if err != nil {
		t.Fatal(err)
	}
	return newKey(string(members))
}

// A key is opened once for all its clones, such as the one in the cache, and erased with the last.
func TestOpeners(t *testing.T) {
	key := rsaKey(t)
	kept := key.Clone()
	of := func(key *hsm.Key) *keyuse.Key {
		opened, err := openers{}.of(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return opened
	}
	first, second := of(key), of(kept)
	if first != second {
		t.Error("the key was opened twice")
	}
	key.Wipe()
	if _, err := second.DecryptOAEP(crypto.SHA256, nil); !errors.Is(err, keyuse.ErrOpen) {
		t.Errorf("erased while a clone is kept: %v", err)
	}
	kept.Wipe()
	if _, err := second.DecryptOAEP(crypto.SHA256, nil); !errors.Is(err, keyuse.ErrErased) {
		t.Errorf("not erased with the last clone: %v", err)
	}
	if _, err := (openers{}).of(t.Context(), kept); err == nil {
		t.Error("a wiped key was opened")
	}
	if _, err := (openers{}).of(t.Context(), newKey(`{"kty":"OKP","k":"c2VjcmV0"}`)); err == nil {
		t.Error("a key of another type was opened")
	}
}
