package keyformat_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"golang.org/x/crypto/ssh"

	"skr/hsm"
	"skr/internal/jose/jwk"
	"skr/internal/keyformat"
	"skr/test/rsakey"
)

func read(t *testing.T, pkcs8 []byte) *hsm.Key {
	t.Helper()
	key, err := hsm.ReadKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(key.Wipe)
	return key
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func encode(t *testing.T, format keyformat.Format, key *hsm.Key) []byte {
	t.Helper()
	text, err := format.Encode(key)
	if err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	return text
}

// TestEncode reads each form back by the libraries that applications use.
func TestEncode(t *testing.T) {
	rsaKey, err := rsakey.Generate(2048)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]any{"RSA": rsaKey}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		if keys[curve.Params().Name], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	for name, made := range keys {
		t.Run(name, func(t *testing.T) {
			want := pkcs8(t, made)
			key := read(t, want)
			block, rest := pem.Decode(encode(t, keyformat.PEM, key))
			if block == nil || len(rest) != 0 || !bytes.Equal(block.Bytes, want) {
				t.Error("the PEM is not the key")
			}
			for _, format := range []keyformat.Format{keyformat.DER, keyformat.PKCS8} {
				if !bytes.Equal(encode(t, format, key), want) {
					t.Errorf("%s is not the key", format)
				}
			}
			opened, err := ssh.ParseRawPrivateKey(encode(t, keyformat.SSH, key))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(pkcs8(t, opened), want) {
				t.Error("the OpenSSH form is not the key")
			}
			parsed, err := jwk.Parse(encode(t, keyformat.JWK, key))
			if err != nil {
				t.Fatal(err)
			}
			again, err := parsed.PrivateKey()
			if err != nil || !bytes.Equal(pkcs8(t, again), want) {
				t.Errorf("the JWK is not the key: %v", err)
			}
		})
	}
}

func TestSymmetric(t *testing.T) {
	secret := []byte("0123456789abcdef")
	key, err := hsm.ReadSecret(bytes.Clone(secret))
	if err != nil {
		t.Fatal(err)
	}
	defer key.Wipe()
	if got := encode(t, keyformat.Raw, key); !bytes.Equal(got, secret) {
		t.Errorf("raw is %x", got)
	}
	for _, format := range []keyformat.Format{keyformat.PEM, keyformat.DER, keyformat.PKCS8, keyformat.SSH} {
		if text, err := format.Encode(key); err == nil {
			t.Errorf("a symmetric key was written as %s: %d bytes", format, len(text))
		}
	}
}

// TestNoSuchForm: what a type of keys has no form for is an error that names no key.
func TestNoSuchForm(t *testing.T) {
	made, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jwk.FromPrivate(made.ToECDSA())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(parsed)
	if err != nil {
		t.Fatal(err)
	}
	key, err := hsm.ReadKey(text)
	if err != nil {
		t.Fatal(err)
	}
	defer key.Wipe()
	if len(encode(t, keyformat.PEM, key)) == 0 {
		t.Error("P-256K has no PEM")
	}
	for _, format := range []keyformat.Format{keyformat.SSH, keyformat.Raw, "p12"} {
		if _, err := format.Encode(key); err == nil {
			t.Errorf("P-256K was written as %q", format)
		}
	}
}

func TestParse(t *testing.T) {
	for name := range strings.SplitSeq(keyformat.Names(), ", ") {
		format, err := keyformat.Parse(name)
		if err != nil || format.MediaType() == "" {
			t.Errorf("%s: %v, media type %q", name, err, format.MediaType())
		}
	}
	for _, name := range []string{"", "PEM", "p12"} {
		if _, err := keyformat.Parse(name); err == nil {
			t.Errorf("%q is a format", name)
		}
	}
}
