package keyrelease

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"skr/hsm"
	"skr/internal/refusal"
	"skr/internal/secmem"
)

// newKey sets the private field of a key. Otherwise only a vault's verified statement
// can make one.
func newKey() *hsm.Key {
	key := &hsm.Key{}
	field := reflect.ValueOf(key).Elem().FieldByName("held")
	*(**secmem.Buffer)(unsafe.Pointer(field.UnsafeAddr())) = secmem.Hold([]byte(`{"kty":"oct","k":"c2VjcmV0"}`))
	return key
}

func isWiped(key *hsm.Key) bool {
	_, err := key.JWK()
	return err != nil
}

// copyOf returns the cache's own key and the number of cached keys.
func (c *keyCache) copyOf(asked question) (*hsm.Key, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept, found := c.kept.Peek(asked); found {
		return kept.key, c.kept.Len()
	}
	return nil, c.kept.Len()
}

func TestKeysAreKeptForATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newKeyCache(time.Minute, 0, unseen)
		req := parseRequest(t, "a.eus.attest.azure.net")
		asked := req.question()
		released := newKey()
		c.keep(t.Context(), req, released)
		released.Wipe() // the first caller's copy
		time.Sleep(time.Minute - 1)
		copied := c.lookUp(t.Context(), asked)
		if copied == nil || isWiped(copied) {
			t.Fatal("the key is not cached")
		}
		kept, _ := c.copyOf(asked)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if c.lookUp(t.Context(), asked) != nil || !isWiped(kept) {
			t.Error("the key is cached too long or not wiped")
		}
		if isWiped(copied) {
			t.Error("a caller's copy is wiped")
		}
	})
}

// Another token, key or authority makes another cache entry.
func TestKeysOfOthersAreNotGiven(t *testing.T) {
	c := newKeyCache(time.Minute, 0, unseen)
	mine := parseRequest(t, "a.eus.attest.azure.net")
	c.keep(t.Context(), mine, newKey())
	theirs := mine
	theirs.Access = secmem.NewText("another token")
	elsewhere := parseRequest(t, "b.eus.attest.azure.net")
	if c.lookUp(t.Context(), theirs.question()) != nil || c.lookUp(t.Context(), elsewhere.question()) != nil {
		t.Error("got the key of another entry")
	}
}

func TestKeysAreReplacedAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newKeyCache(time.Minute, 0, unseen)
		req := parseRequest(t, "a.eus.attest.azure.net")
		asked := req.question()
		c.keep(t.Context(), req, newKey())
		old, _ := c.copyOf(asked)
		time.Sleep(30 * time.Second)
		c.keep(t.Context(), req, newKey())
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if !isWiped(old) || c.lookUp(t.Context(), asked) == nil {
			t.Error("the old key is not wiped, or its expiry removed the new one")
		}
		for i := range 3 * maxKeys {
			req.Access = tokenUntil(time.Now().Add(time.Hour), i)
			c.keep(t.Context(), req, newKey())
			if _, number := c.copyOf(req.question()); number > maxKeys {
				t.Fatalf("%d keys are cached", number)
			}
		}
	})
}

func TestNothingIsKeptByDefault(t *testing.T) {
	c := newKeyCache(0, 0, unseen)
	req := parseRequest(t, "a.eus.attest.azure.net")
	asked := req.question()
	if c.keep(t.Context(), req, newKey()); c.kept.Len() != 0 || c.lookUp(t.Context(), asked) != nil {
		t.Error("a key is cached")
	}
}

// unseen ignores lookups.
func unseen(context.Context, Lookup) {}

// lastLookup records the last lookup of a key.
type lastLookup struct{ Lookup }

func (l *lastLookup) looked(_ context.Context, lookup Lookup) {
	if lookup.Cache == KeyCache {
		l.Lookup = lookup
	}
}

func resultOf(l Lookup) string {
	switch {
	case l.Stale:
		return "stale"
	case l.Hit:
		return "hit"
	}
	return "miss"
}

// releases is a vault behind a cache. It counts requests and refuses with the error no.
type releases struct {
	mu     sync.Mutex
	number int
	no     error
	last   lastLookup
}

func (v *releases) refuse(no error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.no = no
}

// asked returns the number of requests.
func (v *releases) asked() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.number
}

func (v *releases) answer() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.number++
	return v.no
}

// keeper returns a Releaser whose releases go to v.
func (v *releases) keeper(t *testing.T, ttl, maxStale time.Duration) *Releaser {
	r := New(Config{KeyTTL: ttl, KeyMaxStale: maxStale, Looked: v.last.looked})
	r.keys.release = func(_ context.Context, req Request) (*hsm.Key, error) {
		if err := v.answer(); err != nil {
			return nil, err
		}
		key := newKey()
		r.keys.keep(t.Context(), req, key)
		return key, nil
	}
	return r
}

// ask does what Release does, without the pipeline behind it.
func (v *releases) ask(t *testing.T, r *Releaser, req Request) (told Lookup, err error) {
	t.Helper()
	key := r.keys.lookUp(t.Context(), req.question())
	if key == nil {
		if key, err = r.keys.release(t.Context(), req); err != nil {
			key, err = r.keys.serveStale(t.Context(), req.question(), err)
		}
	}
	key.Wipe()
	return v.last.Lookup, err
}

// A key in use is renewed before it expires, so that no caller waits. An unused key
// expires.
func TestKeysInUseAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &releases{}
		r := v.keeper(t, time.Hour, 0)
		req := parseRequest(t, "a.eus.attest.azure.net")
		for range 4 * 60 {
			if told, err := v.ask(t, r, req); err != nil || told.Stale || told.Age >= time.Hour {
				t.Fatalf("%+v, %v", told, err)
			}
			time.Sleep(time.Minute)
		}
		if v.asked() < 5 || v.asked() > 6 {
			t.Errorf("%d releases in 4 hours, want 5 or 6", v.asked())
		}
		before := v.asked()
		time.Sleep(3 * time.Hour)
		if n := v.asked() - before; n > 1 {
			t.Errorf("%d releases without a request", n)
		}
		if _, number := r.keys.copyOf(req.question()); number != 0 {
			t.Error("an unused key is still cached")
		}
	})
}

func TestRenewalIsSpread(t *testing.T) {
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		least, most = min(least, early(time.Hour)), max(most, early(time.Hour))
	}
	if least < 45*time.Minute || most > 54*time.Minute || most-least < 8*time.Minute {
		t.Errorf("from %v to %v of an hour", least, most)
	}
}

// Only the digest of a caller's token is kept, so nothing can be released with it later.
func TestCallersTokenIsNotUsedBehindItsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &releases{}
		r := v.keeper(t, time.Hour, 0)
		req := parseRequest(t, "a.eus.attest.azure.net")
		req.Access = tokenUntil(time.Now().Add(2*time.Hour), 0)
		for range 59 {
			if _, err := v.ask(t, r, req); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if v.asked() != 1 {
			t.Errorf("%d releases, want 1", v.asked())
		}
	})
}

// A key survives an outage for maxStale and no longer. Not every request causes an
// attempt, and the end of the outage is noticed.
func TestOutage(t *testing.T) {
	for _, no := range []error{
		refusal.Newf(refusal.Unavailable, "down"), refusal.Newf(refusal.Throttled, "slower"),
		refusal.Newf(refusal.Timeout, "late"), context.DeadlineExceeded,
	} {
		synctest.Test(t, func(t *testing.T) {
			v := &releases{}
			r := v.keeper(t, time.Hour, time.Hour)
			req := parseRequest(t, "a.eus.attest.azure.net")
			want := func(result string, atLeast time.Duration) {
				t.Helper()
				if told, err := v.ask(t, r, req); err != nil || resultOf(told) != result || told.Age < atLeast {
					t.Fatalf("%v: got %+v, %v; want %s", no, told, err, result)
				}
			}
			want("miss", 0)
			want("hit", 0)
			v.refuse(no)
			time.Sleep(time.Hour - 1)
			want("hit", time.Hour-1)
			time.Sleep(time.Nanosecond)
			asked := v.asked()
			for range 1000 {
				want("stale", time.Hour)
			}
			if v.asked() != asked {
				t.Errorf("%d of 1000 requests asked a service that is known to be down", v.asked()-asked)
			}
			time.Sleep(time.Hour - 1)
			want("stale", 2*time.Hour-1)
			if n := v.asked(); n > 151 { // one every 30 s since the first refresh
				t.Errorf("%d attempts in an outage of some 75 minutes", n)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if _, err := v.ask(t, r, req); !errors.Is(err, no) {
				t.Errorf("after max_stale: %v", err)
			}
			v.refuse(nil)
			want("miss", 0)
		})
	}
}

func TestEndOfOutageIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &releases{}
		r := v.keeper(t, time.Hour, 10*time.Hour)
		req := parseRequest(t, "a.eus.attest.azure.net")
		for range 2 {
			if _, err := v.ask(t, r, req); err != nil {
				t.Fatal(err)
			}
		}
		v.refuse(refusal.Newf(refusal.Unavailable, "down"))
		time.Sleep(2 * time.Hour)
		v.refuse(nil)
		time.Sleep(refreshAgain * 3 / 2)
		if told, err := v.ask(t, r, req); err != nil || resultOf(told) != "hit" {
			t.Errorf("got %+v, %v; want a hit", told, err)
		}
	})
}

// A refusal takes effect at once, whatever time the key has left.
func TestRefusalDropsTheKey(t *testing.T) {
	for _, no := range []*refusal.Kind{refusal.ReleaseRejected, refusal.AttestationRejected, refusal.KeyNotFound, refusal.Untrusted} {
		synctest.Test(t, func(t *testing.T) {
			v := &releases{}
			r := v.keeper(t, time.Hour, time.Hour)
			req := parseRequest(t, "a.eus.attest.azure.net")
			for range 2 {
				if _, err := v.ask(t, r, req); err != nil {
					t.Fatal(err)
				}
			}
			v.refuse(refusal.Newf(no, "no"))
			kept, _ := r.keys.copyOf(req.question())
			time.Sleep(55 * time.Minute) // the refresh got the refusal
			synctest.Wait()
			if !isWiped(kept) {
				t.Errorf("%v: the key is still cached", no)
			}
			if _, err := v.ask(t, r, req); !errors.Is(err, no) {
				t.Errorf("%v: got %v", no, err)
			}
		})
	}
}

// Without max_stale, a failed refresh lets the key expire at its time.
func TestNothingIsStaleByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &releases{}
		r := v.keeper(t, time.Hour, 0)
		req := parseRequest(t, "a.eus.attest.azure.net")
		for range 2 {
			if _, err := v.ask(t, r, req); err != nil {
				t.Fatal(err)
			}
		}
		v.refuse(refusal.Newf(refusal.Unavailable, "down"))
		time.Sleep(time.Hour)
		synctest.Wait()
		if _, err := v.ask(t, r, req); !errors.Is(err, refusal.Unavailable) {
			t.Errorf("got %v", err)
		}
	})
}
