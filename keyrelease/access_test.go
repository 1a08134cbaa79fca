package keyrelease

import (
	"encoding/base64"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"skr/internal/refusal"
	"skr/internal/secmem"
)

func tokenOf(claims string) secmem.Text {
	text := base64.RawURLEncoding.EncodeToString
	return secmem.NewText(text([]byte(`{"alg":"RS256"}`)) + "." + text([]byte(claims)) + "." + text([]byte("signature")))
}

// tokenUntil returns one of many access tokens that expire at the given time.
func tokenUntil(expires time.Time, n int) secmem.Text {
	return tokenOf(fmt.Sprintf(`{"exp":%d,"n":%d}`, expires.Unix(), n))
}

func TestExpiryOf(t *testing.T) {
	for claims, want := range map[string]int64{
		`{"exp":1800000000}`: 1800000000, `{"exp":1.8e9}`: 1800000000, `{"exp":1800000000.9}`: 1800000000, `{"exp":0}`: 0,
		`{}`: -1, `{"exp":"1800000000"}`: -1, `{"EXP":1800000000}`: -1, `{"exp":-1}`: -1, `{"exp":1e300}`: -1, `{"exp":1e400}`: -1,
		`{"exp":null}`: -1, `{"exp":1800000000,"exp":1900000000}`: -1, `[]`: -1, `exp`: -1,
	} {
		got, known := expiryOf(tokenOf(claims))
		if known != (want >= 0) || known && got.Unix() != want {
			t.Errorf("%s expires at %v, %v", claims, got.Unix(), known)
		}
	}
	for _, opaque := range []string{"opaque", "a.b.c", ".."} {
		if _, known := expiryOf(secmem.NewText(opaque)); known {
			t.Errorf("%q has an expiry", opaque)
		}
	}
}

func FuzzExpiryOf(f *testing.F) {
	f.Add(`{"exp":1800000000}`)
	f.Add(`{"exp":1e400,"a":[{}]}`)
	f.Fuzz(func(t *testing.T, claims string) {
		if expires, known := expiryOf(tokenOf(claims)); known && (expires.Year() > 9999 || expires.Unix() < 0) {
			t.Errorf("%s expires at %v", claims, expires)
		}
	})
}

// A key released with a caller's access token expires with the token, whatever
// key_cache_ttl and max_stale allow. It is wiped then.
func TestKeysEndWithTheCallersToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &releases{}
		r := v.keeper(t, time.Hour, time.Hour)
		req := parseRequest(t, "a.eus.attest.azure.net")
		req.Access = tokenUntil(time.Now().Add(10*time.Minute), 0)
		if _, err := v.ask(t, r, req); err != nil {
			t.Fatal(err)
		}
		v.refuse(refusal.Newf(refusal.Unavailable, "down"))
		time.Sleep(10*time.Minute - time.Nanosecond)
		if told, err := v.ask(t, r, req); err != nil || resultOf(told) != "hit" {
			t.Errorf("before the token expires: %+v, %v", told, err)
		}
		kept, _ := r.keys.copyOf(req.question())
		time.Sleep(time.Nanosecond)
		if _, err := v.ask(t, r, req); err == nil {
			t.Error("the key outlives the token")
		}
		synctest.Wait()
		if _, number := r.keys.copyOf(req.question()); number != 0 || !isWiped(kept) {
			t.Errorf("%d keys are kept", number)
		}
	})
}

// The wall clock decides: timers stand still while a machine sleeps.
func TestTokensEndByTheWallClock(t *testing.T) {
	c := newKeyCache(time.Hour, time.Hour, unseen)
	req := parseRequest(t, "a.eus.attest.azure.net")
	req.Access = tokenUntil(time.Now().Add(time.Hour), 0)
	c.keep(t.Context(), req, newKey())
	held, _ := c.kept.Peek(req.question())
	held.ends, held.failed = time.Now().Add(-time.Second), time.Now()
	if c.lookUp(t.Context(), req.question()) != nil {
		t.Error("the key is returned")
	}
	if key, _ := c.serveStale(t.Context(), req.question(), refusal.Newf(refusal.Unavailable, "down")); key != nil {
		t.Error("the key is returned as stale")
	}
}

// A key is not cached if the token's expiry is unknown or past.
func TestUnknownExpiryKeepsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Config{KeyTTL: time.Hour, KeyMaxStale: time.Hour})
		for _, token := range []secmem.Text{secmem.NewText("opaque"), tokenOf(`{"n":1}`), tokenUntil(time.Now().Add(-time.Minute), 0)} {
			req := parseRequest(t, "a.eus.attest.azure.net")
			req.Access = token
			r.keys.keep(t.Context(), req, newKey())
			if key := r.keys.lookUp(t.Context(), req.question()); key != nil {
				t.Error("a key is kept without a timely expiry")
			}
		}
		synctest.Wait()
		if r.keys.kept.Len() != 0 {
			t.Errorf("%d keys are cached", r.keys.kept.Len())
		}
	})
}

// A description obtained with a token is not used after the token expires.
func TestDescriptionsEndWithTheCallersToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDescriber{policy: policyOf(`{"claim":"x","equals":"1"}`)}
		e := newExplainer(d, time.Now)
		req, access := parseRequest(t, "a.eus.attest.azure.net"), tokenUntil(time.Now().Add(30*time.Second), 0)
		for _, wait := range []time.Duration{0, 29 * time.Second, time.Second} {
			time.Sleep(wait)
			if _, err := e.describe(t.Context(), req, access); err != nil {
				t.Fatal(err)
			}
		}
		if len(d.access) != 2 {
			t.Errorf("%d requests, want one more after the expiry", len(d.access))
		}
	})
}
