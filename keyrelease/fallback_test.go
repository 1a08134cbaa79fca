package keyrelease

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skr/attest"
	"skr/hsm"
	"skr/internal/refusal"
	"skr/internal/secmem"
)

// regions answer by vault: nil releases, an error refuses, and [errSilent] never
// answers.
type regions struct {
	answers map[string]error
	asked   []string
	access  []secmem.Text
}

var errSilent = errors.New("silent")

func (r *regions) Release(ctx context.Context, req Request) (*hsm.Key, error) {
	name := req.Key.Vault().String()
	r.asked = append(r.asked, strings.TrimSuffix(name, ".vault.azure.net"))
	r.access = append(r.access, req.Access)
	err := r.answers[name]
	if errors.Is(err, errSilent) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return nil, err
}

func (r *regions) set(vault string, err error) { r.answers[vault+".vault.azure.net"] = err }

// release requests a key and returns which vaults were asked and which answered.
func (r *regions) release(ctx context.Context, req Request) (asked, used string, err error) {
	r.asked = nil
	_, by, err := Anywhere(ctx, r, req)
	return strings.Join(r.asked, " "), strings.TrimSuffix(by.Key.Vault().String(), ".vault.azure.net"), err
}

func threeWays(t *testing.T) (*regions, Request) {
	t.Helper()
	authorities, err := attest.ParseAuthorities([]string{"*.attest.azure.net"})
	if err != nil {
		t.Fatal(err)
	}
	vaults, err := hsm.ParseVaults([]string{"*.vault.azure.net"})
	if err != nil {
		t.Fatal(err)
	}
	ways := make([]Request, 3)
	for i := range ways {
		ways[i].Authority, err = authorities.Parse(fmt.Sprintf("r%d.attest.azure.net", i))
		if err != nil {
			t.Fatal(err)
		}
		if ways[i].Key, err = vaults.Parse(fmt.Sprintf("v%d.vault.azure.net", i), "key"); err != nil {
			t.Fatal(err)
		}
	}
	return &regions{answers: map[string]error{}}, WithFallbacks(ways)
}

func refusing(kind *refusal.Kind, after time.Duration) error {
	return &refusal.Error{Kind: kind, Reason: "no", RetryAfter: after}
}

// TestFallsBack checks that only temporary errors lead to the next way.
func TestFallsBack(t *testing.T) {
	for _, test := range []struct {
		err   error
		asked string
	}{
		{nil, "v0"},
		{refusing(refusal.Unavailable, 0), "v0 v1"},
		{refusing(refusal.Throttled, time.Second), "v0 v1"},
		{refusing(refusal.Timeout, 0), "v0 v1"},
		{fmt.Errorf("flight: %w", context.DeadlineExceeded), "v0 v1"},
		{refusing(refusal.ReleaseRejected, 0), "v0"},
		{refusing(refusal.AttestationRejected, 0), "v0"},
		{refusing(refusal.Untrusted, 0), "v0"},
		{refusing(refusal.KeyNotFound, 0), "v0"},
		{refusing(refusal.NoEvidence, 0), "v0"},
		{&refusal.Error{Kind: refusal.ReleaseRejected, Err: refusing(refusal.Unavailable, 0)}, "v0"},
		{errors.New("a bug"), "v0"},
	} {
		places, request := threeWays(t)
		places.set("v0", test.err)
		asked, used, err := places.release(t.Context(), request)
		if asked != test.asked || !strings.HasSuffix(asked, used) {
			t.Errorf("%v: asked %s, used %s, want %s", test.err, asked, used, test.asked)
		}
		if used == "v0" && !errors.Is(err, test.err) || used == "v1" && err != nil {
			t.Errorf("%v: got %v", test.err, err)
		}
	}
}

// TestRefusalOfAFallbackIsFinal checks that a fallback's refusal ends the search.
func TestRefusalOfAFallbackIsFinal(t *testing.T) {
	places, request := threeWays(t)
	places.set("v0", refusing(refusal.Unavailable, 0))
	places.set("v1", refusing(refusal.ReleaseRejected, 0))
	asked, used, err := places.release(t.Context(), request)
	if asked != "v0 v1" || used != "v1" || !errors.Is(err, refusal.ReleaseRejected) {
		t.Errorf("asked %s, used %s, got %v", asked, used, err)
	}
}

// TestFallbackIsRemembered checks that a fallback is used until it fails or the time to
// return has come.
func TestFallbackIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		places, request := threeWays(t)
		down := refusing(refusal.Unavailable, 0)
		for _, step := range []struct {
			wait        time.Duration
			vault       string
			answer      error
			asked, used string
		}{
			{0, "v0", down, "v0 v1", "v1"},
			{0, "v0", down, "v1", "v1"},
			{0, "v1", down, "v1 v0 v2", "v2"},
			{2 * time.Minute, "v1", nil, "v2", "v2"},
			{comeback * 3 / 2, "v1", nil, "v0 v1", "v1"},
			{comeback * 3 / 2, "v0", nil, "v0", "v0"},
			{0, "v1", down, "v0", "v0"},
		} {
			time.Sleep(step.wait)
			places.set(step.vault, step.answer)
			asked, used, err := places.release(t.Context(), request)
			if asked != step.asked || used != step.used || err != nil {
				t.Errorf("%+v: asked %s, used %s, got %v", step, asked, used, err)
			}
		}
	})
}

// TestSilenceLeavesTime checks that a silent way leaves time for the others and that the
// total stays within the deadline.
func TestSilenceLeavesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		places, request := threeWays(t)
		places.set("v0", errSilent)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if asked, used, err := places.release(ctx, request); used != "v1" || err != nil || time.Since(start) != 30*time.Second {
			t.Errorf("asked %s, used %s, got %v after %v", asked, used, err, time.Since(start))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		places, request := threeWays(t)
		for _, vault := range []string{"v0", "v1", "v2"} {
			places.set(vault, errSilent)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if asked, _, err := places.release(ctx, request); asked != "v0 v1 v2" || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("asked %s, got %v after %v", asked, err, time.Since(start))
		}
	})
}

// TestAllWaysFail checks that the error is that of the first way, with the earliest retry
// time of all ways.
func TestAllWaysFail(t *testing.T) {
	places, request := threeWays(t)
	places.set("v0", refusing(refusal.Throttled, time.Hour))
	places.set("v1", refusing(refusal.Unavailable, 0))
	places.set("v2", refusing(refusal.Throttled, 20*time.Second))
	_, used, err := places.release(t.Context(), request)
	refused, ok := errors.AsType[*refusal.Error](err)
	if !ok || refused.Kind != refusal.Throttled || refused.RetryAfter != 20*time.Second || used != "v0" {
		t.Errorf("used %s, got %+v", used, refused)
	}
}

func TestCallerIsGone(t *testing.T) {
	places, request := threeWays(t)
	places.set("v0", refusing(refusal.Unavailable, 0))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if asked, _, _ := places.release(ctx, request); asked != "v0" {
		t.Errorf("asked %s after the caller left", asked)
	}
}

func TestWays(t *testing.T) {
	places, request := threeWays(t)
	request.Access = secmem.NewText("token")
	places.set("v0", refusing(refusal.Unavailable, 0))
	_, _, _ = places.release(t.Context(), request)
	if len(places.access) != 2 || places.access[1].Reveal() != "token" {
		t.Error("a fallback does not get the caller's access token")
	}
	var names []string
	for _, way := range request.Ways() {
		names = append(names, way.Authority.String()+" "+way.Key.Vault().String())
		if len(way.Ways()) != 1 || !leads(request, way) {
			t.Errorf("%v", names)
		}
	}
	want := []string{"r0.attest.azure.net v0.vault.azure.net", "r1.attest.azure.net v1.vault.azure.net", "r2.attest.azure.net v2.vault.azure.net"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("ways (-want +got):\n%s", diff)
	}
	mixed := Request{Authority: request.Ways()[0].Authority, Key: request.Ways()[1].Key}
	if leads(request, mixed) || slices.ContainsFunc(mixed.Ways(), func(way Request) bool { return leads(request, way) }) {
		t.Error("the authority and the vault of different ways form one way")
	}
}

func leads(request, other Request) bool {
	_, ok := request.Leads(other)
	return ok
}
