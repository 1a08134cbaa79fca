package server

import (
	"context"
	"crypto"

	"skr/hsm"
	"skr/internal/keyuse"
)

// Opener decrypts with a released key.
type Opener interface {
	// DecryptOAEP opens RSA-OAEP without a label, with MGF1 over the same hash.
	DecryptOAEP(hash crypto.Hash, ciphertext []byte) ([]byte, error)
}

// openers opens keys. An opened key belongs to the released key and its clones, of which the
// cache of released keys has one: it is opened once while the key is kept, and erased with it.
// It does not replace a release: each use has requested the key before.
type openers struct{}

// of returns the opened key, which is usable until the caller wipes key.
func (openers) of(_ context.Context, key *hsm.Key) (*keyuse.Key, error) { return keyuse.Open(key) }
