package server

import (
	"crypto"
	"sync"
	"time"

	"skr/hsm"
)

// Opener decrypts with a released key.
type Opener interface {
	// DecryptOAEP opens RSA-OAEP without a label, with MGF1 over the same hash.
	DecryptOAEP(hash crypto.Hash, ciphertext []byte) ([]byte, error)
}

const maxOpeners = 16

// openers keeps what takes long to make of a key, as long as released keys may be
// kept. It is no way around a release: each use has asked for the key before.
type openers struct {
	ttl time.Duration // 0 keeps none

	mu   sync.Mutex
	held map[string]Opener // by key identifier with its version; at most maxOpeners
}

func newOpeners(ttl time.Duration) *openers {
	return &openers{ttl: ttl, held: map[string]Opener{}}
}

func (o *openers) of(key *hsm.Key) (Opener, error) {
	o.mu.Lock()
	held := o.held[key.ID()]
	o.mu.Unlock()
	if held != nil {
		return held, nil
	}
	made, err := key.Decrypter()
	if err != nil {
		return nil, err
	}
	if o.ttl > 0 {
		o.keep(key.ID(), made)
	}
	return made, nil
}

// keep until the time is over; what nobody holds any more erases itself.
func (o *openers) keep(id string, made Opener) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.held) >= maxOpeners {
		clear(o.held)
	}
	o.held[id] = made
	time.AfterFunc(o.ttl, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.held[id] == made {
			delete(o.held, id)
		}
	})
}
