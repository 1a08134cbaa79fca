package server

import (
	"context"
	"crypto"
	"sync"
	"time"

	"skr/hsm"
	"skr/internal/cache"
	"skr/internal/keyuse"
)

// Opener decrypts with a released key.
type Opener interface {
	// DecryptOAEP opens RSA-OAEP without a label, with MGF1 over the same hash.
	DecryptOAEP(hash crypto.Hash, ciphertext []byte) ([]byte, error)
}

const maxOpeners = 16 // of one caller

// openers keeps opened keys, which take long to make, for as long as released
// keys may be kept. It does not replace a release: each use has requested the key before.
type openers struct {
	ttl time.Duration // 0 keeps none

	mu   sync.Mutex
	held *cache.Cache[string, *keyuse.Key] // by key identifier with its version
}

func newOpeners(ttl time.Duration) *openers {
	return &openers{ttl: ttl, held: cache.New[string, *keyuse.Key](maxOpeners)}
}

func (o *openers) of(ctx context.Context, key *hsm.Key) (*keyuse.Key, error) {
	o.mu.Lock()
	held, found := o.held.Get(cache.Caller(ctx), key.ID())
	o.mu.Unlock()
	if found {
		return held, nil
	}
	made, err := keyuse.Open(key)
	if err != nil {
		return nil, err
	}
	if o.ttl > 0 {
		o.keep(cache.Caller(ctx), key.ID(), made)
	}
	return made, nil
}

// keep keeps the opener for ttl. An opener that is garbage erases its key.
func (o *openers) keep(caller, id string, made *keyuse.Key) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held.Put(caller, id, made)
	time.AfterFunc(o.ttl, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if held, _ := o.held.Peek(id); held == made {
			o.held.Delete(id)
		}
	})
}
