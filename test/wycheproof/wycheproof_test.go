// Package wycheproof runs Wycheproof's vectors (github.com/c2sp/wycheproof)
// through skr's own code. It is a separate module because the vectors are
// large.
package wycheproof

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/c2sp/wycheproof"
)

// file holds what the vector files have in common.
type file[G any] struct {
	NumberOfTests int `json:"numberOfTests"`
	TestGroups    []G `json:"testGroups"`
}

func read[G any](t *testing.T, name string) file[G] {
	t.Helper()
	data, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err != nil {
		t.Fatal(err)
	}
	var f file[G]
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// vector is one test of an unwrapping or decrypting file.
type vector struct {
	ID      int      `json:"tcId"`
	Comment string   `json:"comment"`
	Flags   []string `json:"flags"`
	Key     hexBytes `json:"key"`
	Msg     hexBytes `json:"msg"`
	Ct      hexBytes `json:"ct"`
	Label   hexBytes `json:"label"`
	Result  string   `json:"result"`
}

func (v vector) has(flag string) bool { return slices.Contains(v.Flags, flag) }

type oaepGroup struct {
	PKCS8  hexBytes `json:"privateKeyPkcs8"`
	SHA    string   `json:"sha"`
	MGFSHA string   `json:"mgfSha"`
	Tests  []vector `json:"tests"`
}

func (g oaepGroup) private(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := x509.ParsePKCS8PrivateKey(g.PKCS8)
	if err != nil {
		t.Fatal(err)
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		t.Fatalf("a %T", key)
	}
	return private
}

var hashes = map[string]crypto.Hash{"SHA-1": crypto.SHA1, "SHA-256": crypto.SHA256, "SHA-384": crypto.SHA384}

// oaepFiles returns the files for the hashes of the vault's algorithms.
func oaepFiles(t *testing.T) []string {
	t.Helper()
	names, err := fs.Glob(wycheproof.TestVectors, "rsa_oaep_*_test.json")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(name string) bool {
		return !strings.Contains(name, "sha1_mgf1sha1_") && !strings.Contains(name, "sha256_mgf1sha256_") &&
			!strings.Contains(name, "sha384_mgf1sha384_")
	})
}
