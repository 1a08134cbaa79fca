package hsm

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"skr/internal/jose/jwk"
	"skr/internal/jose/keywrap"
	"skr/internal/secmem"
)

func TestKEK(t *testing.T) {
	form := regexp.MustCompile(`^\{"keys":\[\{"e":"AQAB","key_ops":\["encrypt"\],"kid":"[\w-]{43}","kty":"RSA","n":"[\w-]+"\}\]\}$`)
	for _, bits := range []int{2048, 3072, 4096} {
		kek, err := NewKEK(bits)
		if err != nil {
			t.Fatal(err)
		}
		data := kek.RuntimeData()
		if !form.Match(data) {
			t.Errorf("runtime data %s", data)
		}
		set, err := jwk.ParseSet(data)
		if err != nil {
			t.Fatal(err)
		}
		if sum, err := set.Keys[0].Thumbprint(); err != nil || sum != set.Keys[0].Kid {
			t.Errorf("kid %q, thumbprint %q, %v", set.Keys[0].Kid, sum, err)
		}
		pub, err := set.Keys[0].PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		wrapped, err := keywrap.Wrap(nil, pub.(*rsa.PublicKey), keywrap.RSA384, make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keywrap.Unwrap(kek.Decrypter(t.Context()), keywrap.RSA384, wrapped); err != nil || kek.Decrypter(t.Context()).Size() != bits/8 {
			t.Errorf("%d bits: %v", bits, err)
		}
		clear(data)
		if bytes.Equal(data, kek.RuntimeData()) {
			t.Error("the caller can change the runtime data")
		}
	}
	for _, bits := range []int{0, 1024, 2047, 8192, -1} {
		if _, err := NewKEK(bits); err == nil {
			t.Errorf("a KEK of %d bits is made", bits)
		}
	}
}

// TestDecrypterOnlyDecrypts checks that the Decrypter is neither a signer nor a private key.
func TestDecrypterOnlyDecrypts(t *testing.T) {
	d := testKEK().Decrypter(t.Context())
	if _, is := d.(crypto.Signer); is {
		t.Error("the decrypter signs")
	}
	if _, is := d.(crypto.Decrypter); is {
		t.Error("the decrypter opens other padding than OAEP")
	}
	if _, err := d.DecryptOAEP(crypto.SHA256, make([]byte, 10)); err == nil {
		t.Error("a short ciphertext opens")
	}
}

func TestPrintsRedact(t *testing.T) {
	kek := testKEK()
	key := &Key{id: "id", held: secmem.Hold([]byte(`{"d":"secret-member"}`))}
	secrets := []string{testPair().D.String(), fmt.Sprintf("%x", testPair().D), "secret-member", fmt.Sprintf("%x", "secret-member"), "[115 101 99 114 101 116"}
	for name, value := range map[string]any{"KEK": kek, "Key": key, "decrypter": kek.Decrypter(t.Context()), "Grant": grant, "pointer": &grant} {
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "value", value)
		marshalled, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		for _, print := range []string{
			fmt.Sprint(value), fmt.Sprintf("%v %+v %#v %s %q %x %d", value, value, value, value, value, value, value), log.String(), string(marshalled),
		} {
			for _, secret := range append(secrets, grant.Access.Reveal(), grant.Attestation.Reveal()) {
				if strings.Contains(print, secret) {
					t.Errorf("%s prints %q", name, print)
				}
			}
		}
	}
	if key.String() != redacted || kek.String() != redacted || key.GoString() != redacted {
		t.Error("String does not redact")
	}
}

// BenchmarkUnwrap measures the whole path from a wrapped key to its JWK. In turn, it
// measures the RSA decryption that every implementation needs. The ratio compares their
// medians, so other load on the machine affects both.
func BenchmarkUnwrap(b *testing.B) {
	for name, key := range map[string]any{"RSA-2048": newRSA(b, 2048), "P-256K": curveKeys(b)["P-256K"], "oct": make([]byte, 32)} {
		b.Run(name, func(b *testing.B) {
			w := wrappedFor(b, key)
			kek := testKEK().Decrypter(b.Context())
			var whole, bare []time.Duration
			for b.Loop() {
				begin := time.Now()
				if _, err := kek.DecryptOAEP(crypto.SHA256, w.ciphertext[:256]); err != nil {
					b.Fatal(err)
				}
				middle := time.Now()
				key, err := w.Unwrap(kek)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := key.JWK(); err != nil {
					b.Fatal(err)
				}
				bare, whole = append(bare, middle.Sub(begin)), append(whole, time.Since(middle))
				key.Wipe()
			}
			slices.Sort(whole)
			slices.Sort(bare)
			b.ReportMetric(float64(whole[len(whole)/2].Microseconds()), "whole-µs")
			b.ReportMetric(float64(bare[len(bare)/2].Microseconds()), "decryption-µs")
			b.ReportMetric(float64(whole[len(whole)/2])/float64(bare[len(bare)/2]), "ratio")
		})
	}
}

func wrappedFor(b *testing.B, key any) *WrappedKey {
	b.Helper()
	plaintext, symmetric := key.([]byte)
	w := &WrappedKey{id: "https://v.vault.azure.net/keys/n/" + keyVersion, kind: "oct", algorithm: keywrap.RSA256}
	var err error
	if !symmetric {
		if plaintext, err = marshalPKCS8(key); err != nil {
			b.Fatal(err)
		}
		w.describe(b, plaintext)
	}
	if w.ciphertext, err = keywrap.Wrap(nil, &testPair().PublicKey, w.algorithm, plaintext); err != nil {
		b.Fatal(err)
	}
	return w
}

// BenchmarkRelease measures what a release adds to the network time: a new SDK client,
// TLS on loopback, the fake vault's work and the statement.
func BenchmarkRelease(b *testing.B) {
	v := newVault(b)
	client, id := v.client(), v.id(keyName)
	for b.Loop() {
		if _, err := client.Release(b.Context(), id, grant); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyStatement(b *testing.B) {
	v := newVault(b)
	client := v.client()
	asked := inquiry{v.id(keyName), keywrap.RSA256, "nonce"}
	r := &recorded{path: "/keys/" + keyName + "/release"}
	r.body.Enc, r.body.Nonce = string(asked.enc), asked.nonce
	text := v.answerTo(r).statement(b)
	for b.Loop() {
		if _, err := client.verify(asked, text, nil); err != nil {
			b.Fatal(err)
		}
	}
}
