package keyrelease

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"skr/hsm"
	"skr/internal/cache"
	"skr/internal/refusal"
)

const (
	// maxKeys bounds the released keys that are kept for one caller.
	maxKeys = 64
	// refreshAgain is the shortest wait between a refresh that found an outage and the
	// next one.
	refreshAgain = 30 * time.Second
)

// keyCache keeps released keys in protected memory, for a time that the operator
// allows: one image pull unwraps many layers with one key. A request with a different
// access token is never served from the cache, and a key that was released with a
// caller's token is not kept for longer than that token is valid.
//
// A key that was used since its release is released again in the background before its
// time ends. If that finds an outage, the key may be served for longer, up to maxStale.
type keyCache struct {
	ttl      time.Duration // 0 keeps no keys
	maxStale time.Duration // 0 serves no key after its time
	// release asks the vault and keeps the key.
	release func(context.Context, Request) (*hsm.Key, error)
	// looked is called with the result of each lookup.
	looked func(context.Context, Lookup)

	mu   sync.Mutex
	kept *cache.Cache[question, *keptKey]
}

func newKeyCache(ttl, maxStale time.Duration, looked func(context.Context, Lookup)) *keyCache {
	c := &keyCache{ttl: ttl, maxStale: maxStale, looked: looked, kept: cache.New[question, *keptKey](maxKeys)}
	c.kept.Evicted = func(_ question, kept *keptKey) { kept.wipe() }
	return c
}

// keptKey is guarded by keyCache.mu.
type keptKey struct {
	key      *hsm.Key
	caller   string // the caller that it was released for
	released time.Time
	ends     time.Time // when the caller's access token expires; zero with the sidecar's own identity
	used     bool      // served since its release
	failed   time.Time // when a refresh last found an outage; zero if none did
	refresh  *time.Timer
	end      *time.Timer
}

// lookUp returns a copy of the key for the caller to wipe, or nil.
func (c *keyCache) lookUp(ctx context.Context, asked question) *hsm.Key {
	if c.ttl <= 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	kept, found := c.kept.Get(cache.Caller(ctx), asked)
	if !found || kept.expired() || !c.usable(kept) {
		c.looked(ctx, Lookup{Cache: KeyCache})
		return nil
	}
	return c.serve(ctx, kept)
}

// hold makes the caller a holder of the key that it just received. Another caller may
// have begun the release.
func (c *keyCache) hold(ctx context.Context, asked question) {
	if c.ttl <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.kept.Get(cache.Caller(ctx), asked)
}

// expired reports whether the access token has expired, by the wall clock: a timer does
// not notice that the clock was set.
func (kept *keptKey) expired() bool { return !kept.ends.IsZero() && !time.Now().Before(kept.ends) }

// usable reports whether the key is served without asking the vault. That includes a
// stale key during a known outage: its callers do not wait for an error that is known.
func (c *keyCache) usable(kept *keptKey) bool {
	return time.Since(kept.released) < c.ttl ||
		!kept.failed.IsZero() && (kept.refresh != nil || time.Since(kept.failed) < refreshAgain)
}

func (c *keyCache) serve(ctx context.Context, kept *keptKey) *hsm.Key {
	age := time.Since(kept.released)
	kept.used = true
	c.looked(ctx, Lookup{Cache: KeyCache, Hit: true, Stale: age >= c.ttl, Age: age})
	return kept.key.Clone()
}

// keep stores a copy of the key until its time ends. It replaces an older copy.
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
	asked, kept := req.question(), &keptKey{key: key.Clone(), caller: cache.Caller(ctx), released: time.Now(), ends: ends}
	c.mu.Lock()
	defer c.mu.Unlock()
	if older, found := c.kept.Peek(asked); found {
		older.wipe()
	}
	kept.end = time.AfterFunc(life, func() { c.end(asked, kept) })
	if req.Access.IsZero() {
		kept.refresh = time.AfterFunc(early(c.ttl), func() { c.renew(asked, kept) })
	}
	c.kept.Put(kept.caller, asked, kept)
}

func (c *keyCache) end(asked question, kept *keptKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(asked, kept)
}

// early returns 75 to 90 percent of ttl, at random: pods that started together do not
// refresh together.
func early(ttl time.Duration) time.Duration { return ttl*3/4 + rand.N(ttl*3/20+1) } //nolint:gosec // spreads load, keeps no secret

// renew releases a key again if it was used. It does not renew a key that was released
// with a caller's access token: the cache has only the digest of that token.
func (c *keyCache) renew(asked question, kept *keptKey) {
	if !c.inUse(asked, kept) {
		return
	}
	ctx := cache.For(context.Background(), kept.caller)
	key, err := c.release(ctx, Request{Authority: asked.authority, Key: asked.key})
	key.Wipe()
	c.classify(asked, kept, err, isOutage(err) || isDeadline(err)) // no caller set the deadline
}

func (c *keyCache) inUse(asked question, kept *keptKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	current, _ := c.kept.Peek(asked)
	return current == kept && kept.used
}

// classify applies the error of a release to the key that is kept: an outage says
// nothing about the key, and a refusal removes it.
func (c *keyCache) classify(asked question, kept *keptKey, err error, outage bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch current, _ := c.kept.Peek(asked); {
	case kept == nil || current != kept:
	case outage:
		kept.failed = time.Now()
		if kept.refresh != nil {
			kept.refresh.Reset(refreshAgain + rand.N(refreshAgain/2)) //nolint:gosec // as in early
		}
	case isRefusal(err):
		c.drop(asked, kept)
	}
}

// serveStale returns a stale key if err is an outage and a key is kept; otherwise it
// returns err.
func (c *keyCache) serveStale(ctx context.Context, asked question, err error) (*hsm.Key, error) {
	c.mu.Lock()
	kept, _ := c.kept.Peek(asked)
	c.mu.Unlock()
	outage := isOutage(err)
	c.classify(asked, kept, err, outage)
	if !outage {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept, found := c.kept.Get(cache.Caller(ctx), asked); found && !kept.expired() {
		return c.serve(ctx, kept), nil
	}
	return nil, err
}

// drop removes and wipes the key, unless a newer one has replaced it.
func (c *keyCache) drop(asked question, kept *keptKey) {
	if current, found := c.kept.Peek(asked); !found || current != kept {
		return
	}
	kept.wipe()
	c.kept.Delete(asked)
}

// wipe wipes the key and stops its timers.
func (kept *keptKey) wipe() {
	kept.end.Stop()
	if kept.refresh != nil {
		kept.refresh.Stop()
	}
	kept.key.Wipe()
}

// isOutage reports whether err shows that a service is unreachable or throttles, which
// says nothing about the key. A deadline alone does not show an outage: it may have been
// the caller's. If an attempt had failed in its own time before, the error wraps
// [refusal.Unavailable].
func isOutage(err error) bool {
	refused, ok := errors.AsType[*refusal.Error](err)
	if !ok {
		return false
	}
	return refused.Kind == refusal.Unavailable || refused.Kind == refusal.Throttled ||
		refused.Kind == refusal.Timeout && errors.Is(err, refusal.Unavailable)
}

// isDeadline reports whether a deadline passed.
func isDeadline(err error) bool {
	return errors.Is(err, refusal.Timeout) || errors.Is(err, context.DeadlineExceeded)
}

// isRefusal reports whether a party decided that this machine must not have the key.
func isRefusal(err error) bool {
	return errors.Is(err, refusal.ReleaseRejected) || errors.Is(err, refusal.AttestationRejected) ||
		errors.Is(err, refusal.KeyNotFound) || errors.Is(err, refusal.Untrusted)
}
