package maa

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"skr/attest"
	"skr/internal/cache"
	"skr/internal/jose/jwk"
	"skr/internal/jose/jws"
	"skr/internal/refusal"
	"skr/test/rsakey"
)

// publisher is a fake that counts requests.
type publisher struct {
	asked int
	keys  []jwk.Key
	err   error
	wait  time.Duration
}

func (p *publisher) keySet(ctx context.Context, _ attest.Authority) (jwk.Set, error) {
	p.asked++
	if p.wait > 0 {
		select {
		case <-time.After(p.wait):
		case <-ctx.Done():
			return jwk.Set{}, ctx.Err()
		}
	}
	return jwk.Set{Keys: p.keys}, p.err
}

func TestKeyCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{keys: []jwk.Key{plain(t, "a", &rsaKeys()[0].PublicKey)}}
		cache, authority := newKeyCache(p, time.Now), authorityOf(t, "maa.attest.localhost")
		find := func(id string, want error, asked int) {
			t.Helper()
			if _, err := cache.key(t.Context(), authority, id, "RS256"); !errors.Is(err, want) || p.asked != asked {
				t.Errorf("key %q: %v after %d requests, want %v after %d", id, err, p.asked, want, asked)
			}
		}
		find("a", nil, 1)
		find("a", nil, 1)
		find("b", refusal.Untrusted, 1) // fresh keys cause no second request
		time.Sleep(keysMinAge)
		find("b", refusal.Untrusted, 2)
		find("b", refusal.Untrusted, 2)
		p.keys = append(p.keys, plain(t, "b", &rsaKeys()[1].PublicKey)) // rotation
		find("b", refusal.Untrusted, 2)
		time.Sleep(keysMinAge)
		find("b", nil, 3)
		find("a", nil, 3)
		time.Sleep(keysMaxAge)
		find("a", nil, 4)
		time.Sleep(keysMaxAge)
		p.err = refusal.Newf(refusal.Unavailable, "down")
		find("a", refusal.Unavailable, 5)
	})
}

func TestKeyCacheAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{keys: []jwk.Key{plain(t, "a", &rsaKeys()[0].PublicKey)}, wait: time.Second}
		cache, authority := newKeyCache(p, time.Now), authorityOf(t, "maa.attest.localhost")
		impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		cancelled, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { // its request ends at its short deadline
			if _, err := cache.key(impatient, authority, "a", "RS256"); !errors.Is(err, refusal.Timeout) {
				t.Errorf("the caller with a short deadline got %v", err)
			}
		})
		synctest.Wait()
		for range 5 {
			all.Go(func() {
				if _, err := cache.key(t.Context(), authority, "a", "RS256"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Go(func() {
			if _, err := cache.key(cancelled, authority, "a", "RS256"); !errors.Is(err, context.Canceled) {
				t.Errorf("the cancelled caller got %v", err)
			}
		})
		synctest.Wait()
		stop()
		all.Wait()
		if p.asked != 2 { // one more request for all callers with more time
			t.Errorf("%d requests", p.asked)
		}
	})
}

func TestKeyCacheTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{wait: time.Hour}
		began := time.Now()
		_, err := newKeyCache(p, time.Now).key(t.Context(), authorityOf(t, "maa.attest.localhost"), "a", "RS256")
		if err == nil || time.Since(began) != keysTimeout {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestKeyCacheIsBounded(t *testing.T) {
	p := &publisher{keys: []jwk.Key{plain(t, "a", &rsaKeys()[0].PublicKey)}}
	clock := now
	cache := newKeyCache(p, func() time.Time { clock = clock.Add(time.Second); return clock })
	ask := func(i int) {
		if _, err := cache.key(t.Context(), authorityOf(t, fmt.Sprintf("maa%d.attest.localhost", i)), "a", "RS256"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range maxAuthorities + 3 {
		ask(i)
	}
	if cache.sets.Len() != maxAuthorities {
		t.Errorf("%d authorities are cached", cache.sets.Len())
	}
	before := p.asked
	if ask(maxAuthorities + 2); p.asked != before {
		t.Error("the newest entry was evicted")
	}
	if ask(0); p.asked == before {
		t.Error("the oldest entry was kept")
	}
}

// A caller that names many authorities does not evict the keys of other callers' authorities.
func TestKeysOfOneCallerAreApart(t *testing.T) {
	p := &publisher{keys: []jwk.Key{plain(t, "a", &rsaKeys()[0].PublicKey)}}
	keys := newKeyCache(p, func() time.Time { return now })
	victim, flooder := cache.For(t.Context(), "victim"), cache.For(t.Context(), "flooder")
	ask := func(ctx context.Context, name string) {
		if _, err := keys.key(ctx, authorityOf(t, name+".attest.localhost"), "a", "RS256"); err != nil {
			t.Fatal(err)
		}
	}
	ask(victim, "mine")
	for i := range 2 * maxAuthorities {
		ask(flooder, fmt.Sprintf("maa%d", i))
	}
	before := p.asked
	if ask(victim, "mine"); p.asked != before {
		t.Error("the keys were requested again")
	}
}

func FuzzKeySet(f *testing.F) {
	key, err := rsakey.Generate(2048)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"keys":[{"kid":"a","kty":"RSA","x5c":["` + certified(f, "a", key).X5c[0][:40] + `"]}]}`))
	f.Add([]byte(`{"keys":[{"kid":"a","kty":"RSA","n":"` + plain(f, "a", &key.PublicKey).N + `","e":"AQAB","use":"sig"}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		set, err := jwk.ParseSet(document)
		if err != nil {
			return
		}
		for _, key := range set.Keys {
			if public, err := jws.RSAVerificationKey(key, "RS256"); err == nil && public.N.BitLen() < 2048 {
				t.Errorf("accepted a key of %d bits", public.N.BitLen())
			}
		}
	})
}
