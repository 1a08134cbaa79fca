package rsakey

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"sync"
	"testing"
)

// TestKeysDiffer: many concurrent callers get valid keys of the full length, of which no two
// are equal.
func TestKeysDiffer(t *testing.T) {
	const bits, callers, each = 1024, 4, 50
	var (
		seen  sync.Map
		group sync.WaitGroup
	)
	for range callers {
		group.Go(func() {
			for range each {
				key, err := Generate(bits)
				if err != nil {
					t.Error(err)
					return
				}
				if key.N.BitLen() != bits {
					t.Errorf("the modulus has %d bits", key.N.BitLen())
				}
				if _, twice := seen.LoadOrStore(key.N.String(), true); twice {
					t.Error("two keys are equal")
				}
			}
		})
	}
	group.Wait()
}

// TestKeyWorks: a key signs and decrypts, and another key of the same primes does not verify
// its signature.
func TestKeyWorks(t *testing.T) {
	var keys [3]*rsa.PrivateKey // of three primes
	for i := range keys {
		key, err := Generate(2048)
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = key
	}
	sum := sha256.Sum256([]byte("data"))
	signature, err := rsa.SignPKCS1v15(nil, keys[0], crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	for i, key := range keys {
		err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], signature)
		if valid := err == nil; valid != (i == 0) {
			t.Errorf("key %d: %v", i, err)
		}
	}
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &keys[1].PublicKey, []byte("secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := rsa.DecryptOAEP(sha256.New(), nil, keys[1], sealed, nil); err != nil || string(opened) != "secret" {
		t.Errorf("got %q, %v", opened, err)
	}
}

func BenchmarkGenerate(b *testing.B) {
	for b.Loop() {
		if _, err := Generate(2048); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := rsa.GenerateKey(rand.Reader, 2048); err != nil {
			b.Fatal(err)
		}
	}
}
