package keywrap

import (
	"crypto"
	"crypto/rsa"
	"fmt"
	"math/big"
	"runtime"
)

// memoryKey is a Decrypter whose private key is on the Go heap, which crypto/rsa requires.
type memoryKey struct{ private *rsa.PrivateKey }

// NewDecrypter takes ownership of the private key. The Decrypter only decrypts with it, and
// erases it when the Decrypter becomes unreachable.
func NewDecrypter(private *rsa.PrivateKey) Decrypter {
	k := &memoryKey{private}
	runtime.AddCleanup(k, Erase, private)
	return k
}

func (k *memoryKey) DecryptOAEP(hash crypto.Hash, ciphertext []byte) ([]byte, error) {
	defer runtime.KeepAlive(k) // the key must not be erased during decryption
	plaintext, err := k.private.Decrypt(nil, ciphertext, &rsa.OAEPOptions{Hash: hash})
	if err != nil {
		return nil, fmt.Errorf("opening RSA-OAEP: %w", err)
	}
	return plaintext, nil
}

func (k *memoryKey) Size() int { return k.private.Size() }

// Format redacts every verb.
func (k *memoryKey) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte("[redacted]")) }

// Erase overwrites the private numbers of a key. It does not reach the copies in
// crypto/internal/fips140, with which crypto/rsa computes. They remain until their memory is
// reused.
func Erase(private *rsa.PrivateKey) {
	secret := append([]*big.Int{private.D, private.Precomputed.Dp, private.Precomputed.Dq, private.Precomputed.Qinv}, private.Primes...)
	for _, number := range secret {
		if number != nil {
			words := number.Bits()
			clear(words[:cap(words)])
			number.SetInt64(0)
		}
	}
}
