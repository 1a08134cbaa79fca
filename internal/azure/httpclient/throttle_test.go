package httpclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"skr/internal/refusal"
)

// throttling is a service that refuses a number of requests and then answers.
type throttling struct {
	mu       sync.Mutex
	refusals int
	asks     string // Retry-After of a refusal
	at       []time.Time
}

func (s *throttling) RoundTrip(*http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, time.Now())
	if s.refusals == 0 {
		return answerOf(http.StatusOK), nil
	}
	s.refusals--
	answer := answerOf(http.StatusTooManyRequests)
	answer.Header.Set("Retry-After", s.asks)
	return answer, nil
}

// patient lets requests wait without a limit.
var patient = Retry{MaxRetryAfter: 24 * time.Hour}

// TestThrottlingSpreads checks that the wait is the requested time plus up to a window. The
// window widens with refusals and is reset by an answer.
func TestThrottlingSpreads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &throttling{refusals: 6, asks: "10"}
		client := newSteady(Config{Transport: service, Retry: Retry{Attempts: 1, MaxRetryAfter: 24 * time.Hour}})
		var waits []string
		for service.refusals > 0 {
			left := service.refusals
			if err := ask(t.Context(), client, "vault.example"); !errors.Is(err, refusal.Throttled) || service.refusals != left-1 {
				t.Fatalf("got %v and %d refusals", err, left-service.refusals)
			}
			waits = append(waits, client.hosts.left("vault.example").String())
		}
		if got, want := strings.Join(waits, " "), "20s 50s 2m10s 2m10s 2m10s 2m10s"; got != want {
			t.Errorf("waits are %s, want %s", got, want)
		}
		if err := ask(t.Context(), client, "vault.example"); err != nil {
			t.Error(err)
		}
		service.refusals = 1
		if _ = ask(t.Context(), client, "vault.example"); client.hosts.left("vault.example") != 20*time.Second {
			t.Errorf("after an answer the wait is %v", client.hosts.left("vault.example"))
		}
	})
}

// TestNeverBeforeRetryAfter checks that no wait is shorter than Retry-After, for any random
// choice and place on the dial.
func TestNeverBeforeRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for i := range 200 {
			fleet := Fleet{Window: time.Duration(i%3) * 15 * time.Second, Place: float64(i) / 200}
			service := &throttling{refusals: 2, asks: "7"}
			client := New(Config{Transport: service, Fleet: fleet, Retry: patient})
			if err := ask(t.Context(), client, "vault.example"); err != nil {
				t.Fatal(err)
			}
			for n := range 2 {
				if wait := service.at[n+1].Sub(service.at[n]); wait < 7*time.Second {
					t.Errorf("client %d came back after %v", i, wait)
				}
			}
		}
	})
}

// TestOthersWaitToo checks that no other request goes to a host while it throttles.
func TestOthersWaitToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &throttling{refusals: 1, asks: "60"}
		refusedAtOnce := 0
		client := New(Config{Transport: service, Retry: Retry{Attempts: 1, MaxRetryAfter: 24 * time.Hour}, Refused: func(context.Context) { refusedAtOnce++ }})
		_ = ask(t.Context(), client, "vault.example")
		left := client.hosts.left("vault.example")

		short, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		err := ask(short, client, "vault.example")
		checkRefusal(t, err, refusal.Throttled, left-margin)
		if !errors.Is(err, errHeld) || len(service.at) != 1 || refusedAtOnce != 1 {
			t.Errorf("got %v after %d requests with %d callbacks", err, len(service.at), refusedAtOnce)
		}
		if err := ask(t.Context(), client, "other.example"); err != nil || len(service.at) != 2 {
			t.Errorf("another host: %v after %d requests", err, len(service.at))
		}

		var waiting sync.WaitGroup
		for range 5 {
			waiting.Go(func() {
				if err := ask(t.Context(), client, "vault.example"); err != nil {
					t.Error(err)
				}
			})
		}
		waiting.Wait()
		for _, at := range service.at[2:] {
			if wait := at.Sub(service.at[0]); wait != left {
				t.Errorf("a request came after %v, want %v", wait, left)
			}
		}
	})
}

// TestConcurrentRefusalsCountOnce checks that concurrent requests widen the window once.
func TestConcurrentRefusalsCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHosts(Circuit{}, Fleet{}, time.Second, ceiling)
		for range 5 {
			s.refused("", "host", 10*time.Second)
		}
		if left := s.left("host"); left != 20*time.Second {
			t.Errorf("the wait is %v", left)
		}
		if s.refused("", "host", 25*time.Second); s.left("host") != 25*time.Second {
			t.Errorf("a longer Retry-After was ignored: %v", s.left("host"))
		}
		s.answered("host") // to a request that was sent earlier
		if s.left("host") == 0 {
			t.Error("an old answer ended the wait")
		}
	})
}

func TestAbsurdRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHosts(Circuit{}, Fleet{}, time.Second, fullJitter)
		if wait := s.refused("", "host", longestWait); wait > maxAsked+maxSpread {
			t.Errorf("a service that requests a year is avoided for %v", wait)
		}
	})
}

func TestThrottledHostsAreBounded(t *testing.T) {
	s := newHosts(Circuit{}, Fleet{}, time.Second, fullJitter)
	for i := range 2 * maxHosts {
		s.refused("", strconv.Itoa(i), time.Duration(i+1)*time.Second)
	}
	if s.known.Len() != maxHosts || s.left(strconv.Itoa(2*maxHosts-1)) == 0 {
		t.Errorf("%d hosts are recorded", s.known.Len())
	}
}

// TestTurn checks that a throttled member returns at its place on the dial. A member that
// waits for its first turn waits before it sends a request.
func TestTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		fleet := Fleet{Window: time.Hour, Place: 0.25}
		turn := fleet.Turn(start.Add(time.Second))

		service := &throttling{refusals: 1, asks: "1"}
		if err := ask(t.Context(), New(Config{Transport: service, Fleet: fleet, Retry: patient}), "vault.example"); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(service.at) != fmt.Sprint([]time.Time{start, turn}) {
			t.Errorf("asked at %v, want %v and %v", service.at, start, turn)
		}

		time.Sleep(time.Second) // past that turn
		fleet.First = fleet.Turn(time.Now())
		service = &throttling{}
		client := New(Config{Transport: service, Fleet: fleet})
		left := time.Until(fleet.First)
		checkRefusal(t, ask(t.Context(), client, "vault.example"), refusal.Throttled, left-margin)
		time.Sleep(left - margin) // the caller's error
		if err := ask(t.Context(), client, "vault.example"); err != nil {
			t.Fatal(err)
		}
		if len(service.at) != 1 || !service.at[0].Equal(fleet.First) {
			t.Errorf("first asked at %v, want %v", service.at, fleet.First)
		}
	})
}

// TestFirstTurnIsWaitedForOutside checks that requests that start together do not get
// the same deadline.
func TestFirstTurnIsWaitedForOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &throttling{}
		client := New(Config{Transport: service, Fleet: Fleet{Window: time.Hour, First: time.Now().Add(10 * time.Second)}})
		checkRefusal(t, ask(t.Context(), client, "vault.example"), refusal.Throttled, 10*time.Second-margin)
	})
}

// TestRefusedInTurn checks that a member refused at its turn does not wait for the next turn.
func TestRefusedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := Fleet{Window: time.Hour}
		first.First = first.Turn(time.Now())
		for name, fleet := range map[string]Fleet{"in turn": first, "just after the turn": {Window: time.Hour}} {
			service := &throttling{refusals: 1, asks: "5"}
			if err := ask(t.Context(), New(Config{Transport: service, Fleet: fleet, Retry: patient}), "vault.example"); err != nil {
				t.Fatal(err)
			}
			if wait := service.at[1].Sub(service.at[0]); wait < 5*time.Second || wait > 10*time.Second {
				t.Errorf("%s: came back after %v", name, wait)
			}
			time.Sleep(time.Hour - time.Since(service.at[0]))
		}
	})
}
