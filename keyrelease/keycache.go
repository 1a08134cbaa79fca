package keyrelease

import (
	"context"
	"sync"
	"time"

	"skr/hsm"
	"skr/internal/journal"
)

// maxKeys bounds the released keys that are kept.
const maxKeys = 64

// keyCache keeps released keys, in protected memory, for a time that the operator
// allows: one image pull unwraps many layers with one key. Who brings another
// access token asks the vault.
type keyCache struct {
	ttl time.Duration // 0 keeps none

	mu   sync.Mutex
	held map[question]*heldKey // at most maxKeys
}

type heldKey struct {
	key    *hsm.Key
	expiry *time.Timer
}

// take returns a copy of its own, or nil.
func (c *keyCache) take(ctx context.Context, asked question) *hsm.Key {
	if c.ttl <= 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	held := c.held[asked]
	journal.Looked(ctx, journal.Key, held != nil)
	if held == nil {
		return nil
	}
	return held.key.Clone()
}

// keep a copy until the time is over. A newer release of the same replaces it.
func (c *keyCache) keep(asked question, key *hsm.Key) {
	if c.ttl <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(asked, c.held[asked])
	for other, held := range c.held {
		if len(c.held) < maxKeys {
			break
		}
		c.drop(other, held)
	}
	held := &heldKey{key: key.Clone()}
	held.expiry = time.AfterFunc(c.ttl, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.drop(asked, held)
	})
	c.held[asked] = held
}

// drop wipes the key, unless another has taken its place.
func (c *keyCache) drop(asked question, held *heldKey) {
	if held == nil || c.held[asked] != held {
		return
	}
	held.expiry.Stop()
	held.key.Wipe()
	delete(c.held, asked)
}
