package keyrelease

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"skr/attest"
	"skr/hsm"
	"skr/internal/azure/httpclient"
	"skr/internal/cache"
	"skr/internal/refusal"
	"skr/internal/secmem"
)

// slowVault answers after a delay, through the real client of services. If the key is
// revoked, it refuses.
type slowVault struct {
	*fakeParties

	http  *httpclient.Client
	takes time.Duration // 0 means never
}

func (v *slowVault) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := time.After(v.takes)
	if v.takes == 0 {
		answer = nil
	}
	select {
	case <-answer:
		return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Body: http.NoBody}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func (v *slowVault) Release(ctx context.Context, id hsm.KeyID, _ hsm.Grant) (*hsm.WrappedKey, error) {
	if _, err := v.http.Do(ctx, httpclient.Request{URL: "https://" + id.Vault().String() + "/"}); err != nil {
		return nil, err
	}
	return nil, refusal.Newf(refusal.ReleaseRejected, "the key was revoked")
}

// AccessToken records nothing: after a caller leaves, the next one may start concurrently.
func (v *slowVault) AccessToken(context.Context, Request) (secmem.Text, error) {
	time.Sleep(time.Second)
	return secmem.NewText("our own"), nil
}

// stale returns a Releaser with an expired key whose revocation it has not seen yet, and
// the result of a caller with that much time.
func stale(t *testing.T, takes time.Duration) (ask func(time.Duration) (Lookup, error)) {
	t.Helper()
	last := new(lastLookup)
	v := &slowVault{fakeParties: &fakeParties{lifetime: 8 * time.Hour}, takes: takes}
	v.http = httpclient.New(httpclient.Config{Service: "the vault", Transport: v})
	r := New(Config{Attester: v, Verifier: v, Vault: v, Identity: v, AttestationMaxAge: 8 * time.Hour, KeyTTL: time.Hour, KeyMaxStale: time.Hour,
		Looked: last.looked})
	req := parseRequest(t, "a.eus.attest.azure.net")
	if _, _, err := r.attest(t.Context(), req); err != nil { // attest first, so that only the vault takes time
		t.Fatal(err)
	}
	r.keys.keep(t.Context(), req, newKey())
	time.Sleep(time.Hour + time.Minute)
	return func(limit time.Duration) (Lookup, error) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		key, err := r.Release(ctx, req)
		key.Wipe()
		return last.Lookup, err
	}
}

// A caller whose time is too short for the vault's answer does not get a key that the
// vault would refuse. It does not cause another caller to get it either.
func TestImpatientCallersGetNoStaleKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ask := stale(t, 3*time.Second)
		for _, limit := range []time.Duration{time.Nanosecond, time.Millisecond, 50 * time.Millisecond, time.Second, 3 * time.Second} {
			if told, err := ask(limit); err == nil {
				t.Fatalf("a caller with %v got a %s key", limit, resultOf(told))
			} else if errors.Is(err, refusal.Unavailable) {
				t.Errorf("a caller with %v got an outage: %v", limit, err)
			}
		}
		if told, err := ask(time.Minute); !errors.Is(err, refusal.ReleaseRejected) {
			t.Errorf("the next caller got %+v, %v", told, err)
		}
	})
}

// A vault that is silent for the whole attempt counts as missing, even for a caller whose
// time ends in a later attempt.
func TestSilenceIsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ask := stale(t, 0)
		if told, err := ask(5 * time.Second); err == nil {
			t.Errorf("after half an attempt: %+v", told)
		}
		if told, err := ask(15 * time.Second); err != nil || resultOf(told) != "stale" {
			t.Errorf("after an attempt: %+v, %v", told, err)
		}
		if told, err := ask(time.Millisecond); err != nil || resultOf(told) != "stale" {
			t.Errorf("once the outage is known: %+v, %v", told, err)
		}
	})
}

// A caller with too little time for the first way does not move other callers to the
// second way.
func TestImpatientCallersMoveNobody(t *testing.T) {
	for err, want := range map[error]string{
		refusing(refusal.Timeout, 0):                                    "v0",
		fmt.Errorf("flight: %w", context.DeadlineExceeded):              "v0",
		refusing(refusal.Unavailable, 0):                                "v1",
		&refusal.Error{Kind: refusal.Timeout, Err: refusal.Unavailable}: "v1",
	} {
		places, request := threeWays(t)
		places.set("v0", err)
		if asked, used, failed := places.release(t.Context(), request); asked != "v0 v1" || used != "v1" || failed != nil {
			t.Errorf("%v: asked %s, used %s, got %v", err, asked, used, failed)
		}
		places.set("v0", nil)
		if asked, _, _ := places.release(t.Context(), request); asked != want {
			t.Errorf("after %v the next caller began with %s, want %s", err, asked, want)
		}
	}
}

// If a caller's short time keeps a vault from being asked, other callers do not see that
// as the vault's answer.
func TestHurriedDescriptionsAreNotKept(t *testing.T) {
	for err, kept := range map[error]int{
		refusing(refusal.Timeout, 0): 0, refusing(refusal.Throttled, time.Second): 0, refusing(refusal.Unavailable, 0): 0, context.DeadlineExceeded: 0,
		refusing(refusal.ReleaseRejected, 0): 1, refusing(refusal.KeyNotFound, 0): 1,
	} {
		e := newExplainer(&fakeDescriber{err: err}, time.Now)
		if _, got := e.describe(t.Context(), parseRequest(t, "a.eus.attest.azure.net"), secmem.Text{}); !errors.Is(got, err) {
			t.Fatal(got)
		}
		if e.kept.Len() != kept {
			t.Errorf("%v: %d are cached, want %d", err, e.kept.Len(), kept)
		}
	}
}

// A caller that fills each cache does not evict another caller's entries.
func TestFloodsStayWithTheirCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeParties{lifetime: 8 * time.Hour}
		r := New(Config{Attester: p, Verifier: p, Vault: p, Identity: p, AttestationMaxAge: time.Hour, KeyTTL: time.Hour})
		victim, flooder := cache.For(t.Context(), "victim"), cache.For(t.Context(), "flooder")
		mine := parseRequest(t, "mine.eus.attest.azure.net")
		attested := func() *attestedKEK {
			return &attestedKEK{result: &attest.Result{Expires: time.Now().Add(8 * time.Hour)}, made: time.Now(), seen: new(hsm.Statements)}
		}
		r.keep(victim, mine.Authority, attested())
		r.keys.keep(victim, mine, newKey())
		r.explainer.keep("victim", mine.question(), described{at: r.now()})
		for i := range 2 * maxKeys {
			theirs := parseRequest(t, fmt.Sprintf("a%d.eus.attest.azure.net", i))
			r.keep(flooder, theirs.Authority, attested())
			r.keys.keep(flooder, theirs, newKey())
			r.explainer.keep("flooder", theirs.question(), described{at: r.now()})
		}
		if r.keys.lookUp(victim, mine.question()) == nil {
			t.Error("the key was evicted")
		}
		if r.fresh(victim, mine.Authority) == nil {
			t.Error("the attested KEK was evicted")
		}
		if _, found := r.explainer.kept.Peek(mine.question()); !found {
			t.Error("the description was evicted")
		}
		if a, k, d := r.attested.Len(), r.keys.kept.Len(), r.explainer.kept.Len(); a != maxAuthorities+1 || k != maxKeys+1 || d != maxDescribed+1 {
			t.Errorf("%d KEKs, %d keys and %d descriptions are cached", a, k, d)
		}
	})
}

// Keys that a flood evicts are wiped.
func TestEvictedKeysAreWiped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newKeyCache(time.Hour, 0, unseen)
		first := parseRequest(t, "a.eus.attest.azure.net")
		c.keep(t.Context(), first, newKey())
		kept, _ := c.copyOf(first.question())
		for i := range maxKeys {
			c.keep(t.Context(), parseRequest(t, fmt.Sprintf("a%d.eus.attest.azure.net", i)), newKey())
		}
		if !isWiped(kept) {
			t.Error("the key is still cached")
		}
	})
}

// All callers that joined one release hold its key.
func TestJoinedCallersHoldTheKey(t *testing.T) {
	c := newKeyCache(time.Hour, 0, unseen)
	mine := parseRequest(t, "mine.eus.attest.azure.net")
	flooder, victim := cache.For(t.Context(), "flooder"), cache.For(t.Context(), "victim")
	c.keep(flooder, mine, newKey())
	c.hold(victim, mine.question())
	for i := range 2 * maxKeys {
		c.keep(flooder, parseRequest(t, fmt.Sprintf("a%d.eus.attest.azure.net", i)), newKey())
	}
	if c.lookUp(victim, mine.question()) == nil {
		t.Error("the caller that joined does not hold the key")
	}
}
