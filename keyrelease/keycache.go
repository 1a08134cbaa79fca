package keyrelease

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"skr/hsm"
	"skr/internal/cache"
	"skr/internal/observe/journal"
	"skr/internal/refusal"
)

const (
	// maxKeys bounds the released keys that are kept for one caller.
	maxKeys = 64
	// refreshAgain is how long a refresh waits at least after one that found no service.
	refreshAgain = 30 * time.Second
)

// keyCache keeps released keys, in protected memory, for a time that the operator
// allows: one image pull unwraps many layers with one key. A request with another
// access token is never served from here, and a key that was released with a caller's
// token is not kept for longer than that token is valid.
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
	held *cache.Cache[question, *heldKey]
}

func newKeyCache(ttl, maxStale time.Duration) *keyCache {
	c := &keyCache{ttl: ttl, maxStale: maxStale, held: cache.New[question, *heldKey](maxKeys)}
	c.held.Evicted = func(_ question, held *heldKey) { held.wipe() }
	return c
}

// heldKey is guarded by keyCache.mu.
type heldKey struct {
	key      *hsm.Key
	caller   string // who had it released
	released time.Time
	ends     time.Time // when the caller's access token expires; zero with skr's own identity
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
	held, found := c.held.Get(cache.Caller(ctx), asked)
	if !found || held.over() || !c.serves(held) {
		journal.Looked(ctx, journal.Key, false)
		return nil
	}
	return c.give(ctx, held)
}

// use makes the caller a holder of the key that it was just given, which another one
// may have had released.
func (c *keyCache) use(ctx context.Context, asked question) {
	if c.ttl <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.held.Get(cache.Caller(ctx), asked)
}

// over reports whether the access token has expired, by the clock on the wall: a timer
// does not see that the clock was set.
func (held *heldKey) over() bool { return !held.ends.IsZero() && !time.Now().Before(held.ends) }

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
func (c *keyCache) keep(ctx context.Context, req Request, key *hsm.Key) {
	if c.ttl <= 0 {
		return
	}
	life, ends := c.ttl+c.maxStale, time.Time{}
	if !req.Access.IsZero() {
		var known bool
		if ends, known = expiryOf(req.Access); !known {
			return // the key could outlive the token
		}
		life = min(life, time.Until(ends))
	}
	asked, held := req.question(), &heldKey{key: key.Clone(), caller: cache.Caller(ctx), released: time.Now(), ends: ends}
	c.mu.Lock()
	defer c.mu.Unlock()
	if older, found := c.held.Peek(asked); found {
		older.wipe()
	}
	held.end = time.AfterFunc(life, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.drop(asked, held)
	})
	if req.Access.IsZero() {
		held.refresh = time.AfterFunc(early(c.ttl), func() { c.renew(asked, held) })
	}
	c.held.Put(held.caller, asked, held)
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
	ctx := cache.For(context.Background(), held.caller)
	key, err := c.release(ctx, Request{Authority: asked.authority, Key: asked.key})
	key.Wipe()
	c.judge(asked, held, err, isOutage(err) || ranOut(err)) // the time was skr's own
}

func (c *keyCache) wanted(asked question, held *heldKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	current, _ := c.held.Peek(asked)
	return current == held && held.used
}

// judge what a failed release says of the key that is kept: nothing if it found no
// service, and that it is no longer ours if somebody refused.
func (c *keyCache) judge(asked question, held *heldKey, err error, outage bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch current, _ := c.held.Peek(asked); {
	case held == nil || current != held:
	case outage:
		held.failed = time.Now()
		if held.refresh != nil {
			held.refresh.Reset(refreshAgain + rand.N(refreshAgain/2)) //nolint:gosec // as in early
		}
	case isRefusal(err):
		c.drop(asked, held)
	}
}

// outlast returns a stale key if err shows an outage and one is kept; else it returns
// err.
func (c *keyCache) outlast(ctx context.Context, asked question, err error) (*hsm.Key, error) {
	c.mu.Lock()
	held, _ := c.held.Peek(asked)
	c.mu.Unlock()
	outage := isOutage(err)
	c.judge(asked, held, err, outage)
	if !outage {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if held, found := c.held.Get(cache.Caller(ctx), asked); found && !held.over() {
		return c.give(ctx, held), nil
	}
	return nil, err
}

// drop wipes the key, unless another has taken its place.
func (c *keyCache) drop(asked question, held *heldKey) {
	if current, found := c.held.Peek(asked); !found || current != held {
		return
	}
	held.wipe()
	c.held.Delete(asked)
}

// wipe the key and stop what was to be done with it.
func (held *heldKey) wipe() {
	held.end.Stop()
	if held.refresh != nil {
		held.refresh.Stop()
	}
	held.key.Wipe()
}

// isOutage reports whether err shows that a service is missing, which says nothing of
// the key. A deadline that passed shows nothing: it may have been the caller's. Where
// an attempt had failed in its own time before, the error wraps [refusal.Unavailable].
func isOutage(err error) bool {
	refused, ok := errors.AsType[*refusal.Error](err)
	if !ok {
		return false
	}
	return refused.Kind == refusal.Unavailable || refused.Kind == refusal.Throttled ||
		refused.Kind == refusal.Timeout && errors.Is(err, refusal.Unavailable)
}

// ranOut reports whether time ran out, whoever set it.
func ranOut(err error) bool {
	return errors.Is(err, refusal.Timeout) || errors.Is(err, context.DeadlineExceeded)
}

// isRefusal says whether somebody has decided that we may not have the key.
func isRefusal(err error) bool {
	return errors.Is(err, refusal.ReleaseRejected) || errors.Is(err, refusal.AttestationRejected) ||
		errors.Is(err, refusal.KeyNotFound) || errors.Is(err, refusal.Untrusted)
}
