package wycheproof

import (
	"bytes"
	"crypto"
	"errors"
	"slices"
	"testing"

	"skr/internal/jose/keywrap"
)

// TestRSAOAEP covers the first part of a wrapped key, RSA-OAEP, through the
// KEK's own decrypter.
func TestRSAOAEP(t *testing.T) {
	ran := 0
	for _, name := range oaepFiles(t) {
		for _, group := range read[oaepGroup](t, name).TestGroups {
			decrypter := keywrap.NewDecrypter(group.private(t))
			for _, v := range group.Tests {
				if len(v.Label) > 0 {
					continue // the vault's algorithms use no label
				}
				ran++
				got, err := decrypter.DecryptOAEP(hashes[group.SHA], v.Ct)
				if valid := err == nil && bytes.Equal(got, v.Msg); valid != (v.Result == "valid") {
					t.Errorf("%s %d (%s): accepted %v, want %s; %v", name, v.ID, v.Comment, valid, v.Result, err)
				}
			}
		}
	}
	t.Logf("%d vectors ran", ran)
	if ran < 100 {
		t.Errorf("only %d vectors ran", ran)
	}
}

// givenKey returns the vector's AES key instead of decrypting the first part,
// so that the second part passes through the code that unwraps a released key.
type givenKey []byte

func (k givenKey) DecryptOAEP(crypto.Hash, []byte) ([]byte, error) { return slices.Clone(k), nil }
func (k givenKey) Size() int                                       { return 256 }

// TestAESKWP covers the second part of a wrapped key, AES-KWP (RFC 5649).
func TestAESKWP(t *testing.T) {
	type group struct {
		KeySize int      `json:"keySize"`
		Tests   []vector `json:"tests"`
	}
	ran, accepted := 0, 0
	for _, g := range read[group](t, "aes_kwp_test.json").TestGroups {
		for _, v := range g.Tests {
			ran++
			got, err := keywrap.Unwrap(givenKey(v.Key), keywrap.RSA256, append(make([]byte, 256), v.Ct...))
			valid := err == nil && bytes.Equal(got, v.Msg)
			// The protocol uses 256-bit keys and payloads of more than 8 bytes.
			// Everything else is refused, valid or not.
			want := v.Result == "valid" && g.KeySize == 256 && len(v.Msg) > 8
			if valid != want {
				t.Errorf("%d (%s, %d-bit key): accepted %v, want %v; %v", v.ID, v.Comment, g.KeySize, valid, want, err)
			}
			if err != nil && !errors.Is(err, keywrap.ErrIntegrity) && !errors.Is(err, keywrap.ErrLength) {
				t.Errorf("%d: the error is %v", v.ID, err)
			}
			if valid {
				accepted++
			}
		}
	}
	t.Logf("%d vectors ran, %d accepted", ran, accepted)
	if ran < 200 || accepted < 10 {
		t.Errorf("only %d vectors ran, %d were accepted", ran, accepted)
	}
}
