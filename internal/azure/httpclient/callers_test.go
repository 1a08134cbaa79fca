package httpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"skr/internal/cache"
	"skr/internal/refusal"
)

// If the caller's time ends, the error says so and does not count as an outage. A failed
// attempt within its own time does count.
func TestDeadlineIsNoOutage(t *testing.T) {
	retry := Retry{Attempts: 3, Base: time.Second, Cap: time.Second}
	for _, test := range []struct {
		deadline time.Duration
		kind     *refusal.Kind
		outage   bool
	}{
		{time.Millisecond, refusal.Timeout, false},
		{9 * time.Second, refusal.Timeout, false},
		{10 * time.Second, refusal.Timeout, false}, // as long as an attempt
		{12 * time.Second, refusal.Timeout, true},  // in the second attempt
		{time.Minute, refusal.Unavailable, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			client := New(Config{Service: "MAA", Transport: silent, Retry: retry, Jitter: ceiling})
			ctx, cancel := context.WithTimeout(t.Context(), test.deadline)
			defer cancel()
			err := ask(ctx, client, "maa.example")
			refused, ok := errors.AsType[*refusal.Error](err)
			if !ok || refused.Kind != test.kind || errors.Is(err, refusal.Unavailable) != test.outage {
				t.Errorf("after %v: %v", test.deadline, err)
			}
		})
	}
}

// An attempt is not begun in the last moment of a request: the error says why the service
// failed, and not that the deadline passed.
func TestNoAttemptInTheLastMoment(t *testing.T) {
	for left, attempts := range map[time.Duration]int{attemptTime - time.Millisecond: 1, attemptTime + time.Millisecond: 2} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			client := New(Config{
				Service: "MAA", Retry: Retry{Attempts: 2, Base: time.Second, Cap: time.Second}, Jitter: ceiling,
				Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					asked++
					return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
				}),
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second+left)
			defer cancel()
			if err := ask(ctx, client, "maa.example"); !errors.Is(err, refusal.Unavailable) || asked != attempts {
				t.Errorf("%v left: %d attempts, want %d; %v", left, asked, attempts, err)
			}
		})
	}
}

// Callers that leave while they wait for another attempt use no retries of the shared
// budget.
func TestCallersWhoLeaveSpareTheBudget(t *testing.T) {
	for name, limit := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"cancelled": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Millisecond, cancel)
			return ctx, cancel
		},
		"cancelled with a deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, stop := context.WithTimeout(ctx, time.Hour)
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Millisecond, func() { cancel(); stop() })
			return ctx, cancel
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := newSteady(Config{Transport: &upstream{status: http.StatusBadGateway}, Retry: Retry{Attempts: 4, Budget: 20}})
				for range 100 {
					ctx, cancel := limit(t.Context())
					_ = ask(ctx, client, "vault.example")
					cancel()
				}
				if left := client.budget.retries(); left != 20 {
					t.Errorf("%d retries remain", left)
				}
			})
		})
	}
}

// A caller that names many hosts does not evict the state of other callers' hosts.
func TestHostsOfOneCallerAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newSteady(Config{Service: "MAA", Transport: &upstream{}})
		victim, flooder := cache.For(t.Context(), "victim"), cache.For(t.Context(), "flooder")
		for range defaultFailures {
			_ = ask(victim, client, "mine.example")
		}
		client.hosts.refused("victim", "slow.example", time.Second)
		for i := range 2 * maxHosts {
			for range defaultFailures {
				_ = ask(flooder, client, fmt.Sprintf("host%d.example", i))
			}
			client.hosts.refused("flooder", fmt.Sprintf("host%d.example", i), time.Hour)
		}
		if err := ask(victim, client, "mine.example"); !errors.Is(err, errOpen) {
			t.Errorf("the flood closed the circuit: %v", err)
		}
		if client.hosts.left("slow.example") == 0 {
			t.Error("the flood evicted the throttling host")
		}
		if n := client.hosts.known.Len(); n != maxHosts+2 {
			t.Errorf("%d hosts are recorded", n)
		}
	})
}

// A caller about to contact many hosts leaves places for other callers.
func TestPlacesAheadAreApart(t *testing.T) {
	block := make(chan struct{})
	defer close(block)
	a := newAhead(func(context.Context, string, string) (net.Conn, error) { <-block; return nil, net.ErrClosed }, &tls.Config{MinVersion: tls.VersionTLS12})
	a.answered("victim", "warm.example:443")
	for i := range 3 * maxAhead {
		a.begin("flooder", fmt.Sprintf("%d.example:443", i))
		a.answered("flooder", fmt.Sprintf("%d.other:443", i))
	}
	if len(a.early) != maxAhead {
		t.Errorf("one caller has %d places", len(a.early))
	}
	a.begin("victim", "mine.example:443")
	a.begin("victim", "warm.example:443")
	if a.early["mine.example:443"] == nil || a.early["warm.example:443"] != nil {
		t.Error("no place is free or a warm connection was evicted")
	}
	for caller := range 10 {
		for i := range maxAhead {
			a.begin(fmt.Sprint(caller), fmt.Sprintf("%d-%d.example:443", caller, i))
		}
	}
	if len(a.early) != maxAllAhead {
		t.Errorf("%d places are taken, want %d", len(a.early), maxAllAhead)
	}
}
