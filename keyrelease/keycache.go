package keyrelease

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"skr/hsm"
	"skr/internal/journal"
	"skr/internal/refusal"
	"skr/internal/secmem"
)

const (
	// maxKeys bounds the released keys that are kept.
	maxKeys = 64
	// refreshAgain is how long a refresh waits at least after one that found no service.
	refreshAgain = 30 * time.Second
)

// keyCache keeps released keys, in protected memory, for a time that the operator
// allows: one image pull unwraps many layers with one key. Who brings another
// access token asks the vault.
//
// A key that was given out since it was released is released anew before its time
// ends, behind the back of its callers. Where that finds no service, the key may
// serve longer, up to maxStale.
type keyCache struct {
	ttl      time.Duration // 0 keeps none
	maxStale time.Duration // 0 gives none out after its time
	// release asks the vault, and keeps the key.
	release func(context.Context, Request) (*hsm.Key, error)

	mu   sync.Mutex
	held map[question]*heldKey // at most maxKeys
}

// heldKey is guarded by keyCache.mu.
type heldKey struct {
	key      *hsm.Key
	released time.Time
	used     bool      // given out since
	failed   time.Time // when a service was last missing to release it anew; zero if none was
	refresh  *time.Timer
	end      *time.Timer
}

// take returns a copy of its own, or nil.
func (c *keyCache) take(ctx context.Context, asked question) *hsm.Key {
	if c.ttl <= 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	held := c.held[asked]
	if held == nil || !c.serves(held) {
		journal.Looked(ctx, journal.Key, false)
		return nil
	}
	return c.give(ctx, held)
}

// serves also says yes to a stale key for which no service was found lately, or is
// sought by refreshes: its callers need not wait for what they are told anyhow.
func (c *keyCache) serves(held *heldKey) bool {
	return time.Since(held.released) < c.ttl ||
		!held.failed.IsZero() && (held.refresh != nil || time.Since(held.failed) < refreshAgain)
}

func (c *keyCache) give(ctx context.Context, held *heldKey) *hsm.Key {
	age := time.Since(held.released)
	held.used = true
	journal.Found(ctx, journal.Lookup{Cache: journal.Key, Hit: true, Stale: age >= c.ttl, Age: age})
	return held.key.Clone()
}

// keep a copy until its time is over. A newer release of the same replaces it.
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
	held := &heldKey{key: key.Clone(), released: time.Now()}
	held.end = time.AfterFunc(c.ttl+c.maxStale, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.drop(asked, held)
	})
	if asked.access == (secmem.Text{}).Digest() {
		held.refresh = time.AfterFunc(early(c.ttl), func() { c.renew(asked, held) })
	}
	c.held[asked] = held
}

// early is 75 to 90 percent of the time, by chance: pods that began together do not
// come back together.
func early(ttl time.Duration) time.Duration { return ttl*3/4 + rand.N(ttl*3/20+1) } //nolint:gosec // spreads load, keeps no secret

// renew releases the key anew if somebody has asked for it. Of a caller's access
// token only the digest is known, so such a key is left to its end.
func (c *keyCache) renew(asked question, held *heldKey) {
	if !c.wanted(asked, held) {
		return
	}
	key, err := c.release(context.Background(), Request{Authority: asked.authority, Key: asked.key})
	key.Wipe()
	c.judge(asked, held, err)
}

func (c *keyCache) wanted(asked question, held *heldKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held[asked] == held && held.used
}

// judge what a failed release says of the key that is kept: nothing if it found no
// service, and that it is no longer ours if somebody refused.
func (c *keyCache) judge(asked question, held *heldKey, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case held == nil || c.held[asked] != held:
	case isOutage(err):
		held.failed = time.Now()
		if held.refresh != nil {
			held.refresh.Reset(refreshAgain + rand.N(refreshAgain/2)) //nolint:gosec // as in early
		}
	case isRefusal(err):
		c.drop(asked, held)
	}
}

// outlast is a stale key in place of the error of an outage, where there is one.
func (c *keyCache) outlast(ctx context.Context, asked question, err error) (*hsm.Key, error) {
	c.mu.Lock()
	held := c.held[asked]
	c.mu.Unlock()
	c.judge(asked, held, err)
	if !isOutage(err) {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if held := c.held[asked]; held != nil {
		return c.give(ctx, held), nil
	}
	return nil, err
}

// drop wipes the key, unless another has taken its place.
func (c *keyCache) drop(asked question, held *heldKey) {
	if held == nil || c.held[asked] != held {
		return
	}
	held.end.Stop()
	if held.refresh != nil {
		held.refresh.Stop()
	}
	held.key.Wipe()
	delete(c.held, asked)
}

// isOutage says whether a service is missing, which says nothing of the key.
func isOutage(err error) bool {
	return errors.Is(err, refusal.Unavailable) || errors.Is(err, refusal.Throttled) ||
		errors.Is(err, refusal.Timeout) || errors.Is(err, context.DeadlineExceeded)
}

// isRefusal says whether somebody has decided that we may not have the key.
func isRefusal(err error) bool {
	return errors.Is(err, refusal.ReleaseRejected) || errors.Is(err, refusal.AttestationRejected) ||
		errors.Is(err, refusal.KeyNotFound) || errors.Is(err, refusal.Untrusted)
}
