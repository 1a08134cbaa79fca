package maa

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http/httptrace"
	"sync"
	"time"

	"skr/attest"
	"skr/internal/cache"
	"skr/internal/crash"
	"skr/internal/jose/jwk"
	"skr/internal/jose/jws"
	"skr/internal/refusal"
	"skr/internal/singleflight"
)

const (
	keysMaxAge     = time.Hour
	keysMinAge     = 10 * time.Second // the minimum between two requests because of an unknown kid
	keysTimeout    = 30 * time.Second // for both requests with their retries
	maxAuthorities = 64               // cached for one caller
)

// keyFetcher fetches the published keys of an authority.
type keyFetcher interface {
	keySet(ctx context.Context, authority attest.Authority) (jwk.Set, error)
}

var _ keyFetcher = fetcher{}

// keyCache caches the signing keys of authorities.
type keyCache struct {
	fetcher keyFetcher
	now     func() time.Time
	flights singleflight.Group[attest.Authority, keySet]

	mu   sync.Mutex
	sets *cache.Cache[attest.Authority, keySet]
}

// keySet is never changed once it is cached.
type keySet struct {
	keys    []jwk.Key
	fetched time.Time
}

func newKeyCache(f keyFetcher, now func() time.Time) *keyCache {
	return &keyCache{
		fetcher: f, now: now, sets: cache.New[attest.Authority, keySet](maxAuthorities),
		flights: singleflight.Group[attest.Authority, keySet]{Limit: keysTimeout},
	}
}

// key returns the authority's signing key with the id. Ids are opaque, as instances form
// them in several ways. If the id is unknown, key fetches the keys again, because they may
// have been rotated.
func (c *keyCache) key(ctx context.Context, authority attest.Authority, id, algorithm string) (*rsa.PublicKey, error) {
	set, err := c.set(ctx, authority, keysMaxAge)
	if err != nil {
		return nil, err
	}
	found, ok := set.find(id)
	if !ok {
		if set, err = c.set(ctx, authority, keysMinAge); err != nil {
			return nil, err
		}
		if found, ok = set.find(id); !ok {
			return nil, untrusted(authority, "it does not publish the key that signed its token", nil)
		}
	}
	public, err := jws.RSAVerificationKey(found, algorithm)
	if err != nil {
		return nil, untrusted(authority, "the key that signed its token cannot be used", err)
	}
	return public, nil
}

// set returns keys that are at most maxAge old.
func (c *keyCache) set(ctx context.Context, authority attest.Authority, maxAge time.Duration) (keySet, error) {
	if set, ok := c.cached(ctx, authority, maxAge); ok {
		return set, nil
	}
	// One request serves all concurrent callers.
	set, err := c.flights.Do(ctx, authority, func(ctx context.Context) (keySet, error) { return c.fetch(ctx, authority) })
	return set, explainEnd(authority, err)
}

// keysAhead are fetched while the authority makes the token.
type keysAhead struct {
	stop func() // cancels the fetch
	wait func() error
}

// ahead starts the fetch when the request for the token has been sent. Before that it
// would delay the request and need a connection of its own. The request must use the
// returned context.
func (c *keyCache) ahead(ctx context.Context, authority attest.Authority) (sending context.Context, keys keysAhead) {
	ctx, stop := context.WithCancel(ctx)
	if _, ok := c.cached(ctx, authority, keysMaxAge); ok {
		return ctx, keysAhead{stop, func() error { return nil }}
	}
	begun := sync.OnceValue(func() (wait func() error) {
		return crash.Beside(func() error {
			_, err := c.set(ctx, authority, keysMaxAge)
			return err
		})
	})
	sending = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { begun() }})
	return sending, keysAhead{stop, func() error { return begun()() }}
}

// explainEnd adds to a context's error what was waited for.
func explainEnd(authority attest.Authority, err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return refusal.Because(refusal.Timeout, "attestation service "+authority.String()+" did not give its signing keys in time", err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("getting signing keys: %w", err)
	}
	return err
}

func (c *keyCache) cached(ctx context.Context, authority attest.Authority, maxAge time.Duration) (keySet, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	set, ok := c.sets.Get(cache.Caller(ctx), authority)
	age := c.now().Sub(set.fetched) // negative if the clock was set back
	return set, ok && age >= 0 && age < maxAge
}

func (c *keyCache) fetch(ctx context.Context, authority attest.Authority) (keySet, error) {
	fetched, err := c.fetcher.keySet(ctx, authority)
	if err != nil {
		return keySet{}, err
	}
	set := keySet{fetched.Keys, c.now()}
	c.store(ctx, authority, set)
	return set, nil
}

func (c *keyCache) store(ctx context.Context, authority attest.Authority, set keySet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sets.Put(cache.Caller(ctx), authority, set)
}

func (s keySet) find(id string) (jwk.Key, bool) {
	for _, key := range s.keys {
		if key.Kid == id {
			return key, true
		}
	}
	return jwk.Key{}, false
}
