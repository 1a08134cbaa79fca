package keywrap

import (
	"crypto/rsa"
	"math/big"
	"runtime"
	"testing"

	"skr/test/rsakey"
)

// privateWords returns the words of the private numbers, without a copy.
func privateWords(key *rsa.PrivateKey) (words [][]big.Word) {
	pre := key.Precomputed
	for _, number := range []*big.Int{key.D, key.Primes[0], key.Primes[1], pre.Dp, pre.Dq, pre.Qinv} {
		words = append(words, number.Bits())
	}
	return words
}

func zeros(words [][]big.Word) bool {
	for _, number := range words {
		for _, word := range number {
			if word != 0 {
				return false
			}
		}
	}
	return true
}

func newTestKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsakey.Generate(2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestErase(t *testing.T) {
	key := newTestKey(t)
	words := privateWords(key)
	if zeros(words) {
		t.Fatal("the key has no private numbers")
	}
	Erase(key)
	if Erase(&rsa.PrivateKey{}); !zeros(words) {
		t.Error("a private number remains")
	}
}

// TestUnreachableDecrypterErasesItsKey: the key is erased only when the Decrypter is unreachable.
func TestUnreachableDecrypterErasesItsKey(t *testing.T) {
	key := newTestKey(t)
	words, public := privateWords(key), &key.PublicKey
	wrapped, err := Wrap(nil, public, RSA256, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	d := NewDecrypter(key)
	for range 3 {
		runtime.GC()
		if _, err := Unwrap(d, RSA256, wrapped); err != nil || zeros(words) {
			t.Fatalf("erased while referenced: %v", err)
		}
	}
	erased := make(chan struct{})
	// Cleanups run in goroutines of the runtime. Another cleanup signals when they run.
	for range 100 {
		runtime.AddCleanup(new([64]byte), func(done chan struct{}) { done <- struct{}{} }, erased)
		runtime.GC()
		if <-erased; zeros(words) {
			return
		}
	}
	t.Error("the private numbers remain")
}
