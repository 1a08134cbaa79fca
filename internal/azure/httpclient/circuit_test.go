package httpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"skr/internal/refusal"
)

// upstream is a transport in memory that counts requests.
type upstream struct {
	mu     sync.Mutex
	status int // of each answer; 0 means none
	asked  int
}

func (u *upstream) RoundTrip(*http.Request) (*http.Response, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked++
	if u.status == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return answerOf(u.status), nil
}

func answerOf(status int) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("body"))}
}

// newSteady makes a client that makes one attempt and always chooses the longest wait and
// pause.
func newSteady(c Config) *Client {
	if c.Retry.Attempts == 0 {
		c.Retry = Retry{Attempts: 1}
	}
	c.Jitter = ceiling
	return New(c)
}

// ceiling returns the longest wait that the random choice allows.
func ceiling(longest time.Duration) time.Duration { return longest }

func ask(ctx context.Context, client *Client, host string) error {
	_, err := client.Do(ctx, Request{URL: "https://" + host + "/"})
	return err
}

// break5 opens the host's circuit with the fewest failures.
func break5(t *testing.T, client *Client, host string) {
	t.Helper()
	for range defaultFailures {
		if err := ask(t.Context(), client, host); !errors.Is(err, refusal.Unavailable) || errors.Is(err, errOpen) {
			t.Fatalf("a request to break the circuit got %v", err)
		}
	}
}

// TestCircuit runs a script. A status is a request that must be sent and get it; 0 means a
// broken connection. "no:1s" is a request that must be refused with that time left, "+1s"
// lets time pass, and "open:1" counts open circuits.
func TestCircuit(t *testing.T) {
	for name, script := range map[string]string{
		"opens after five failures":      "503 0 503 408 501 no:1s open:1",
		"not before":                     "503 503 503 503 200 503 503 503 503 404 503",
		"4xx counts as alive":            "0 0 0 0 403 0 0 0 0 404 0 0 0 0 400 0",
		"throttling counts as alive":     "0 0 0 0 429 0 0 0 0 429 0",
		"a redirect counts as alive":     "0 0 0 0 302 0 0 0 0 302 0",
		"the remaining time":             "0 0 0 0 0 no:1s +400ms no:600ms +599ms no:1ms",
		"an answered probe":              "0 0 0 0 0 +1s open:0 200 0 0 0 0 200",
		"a refused probe":                "0 0 0 0 0 +1s 403 0 0 0 0 0 no:1s",
		"failed probes double the pause": "0 0 0 0 0 +1s 0 no:2s +2s 503 no:4s +4s 0 no:8s +8s 0 no:16s +16s 0 no:30s +30s 0 no:30s +30s 200 open:0",
		"the next pause is short again":  "0 0 0 0 0 +1s 0 no:2s +2s 200 0 0 0 0 0 no:1s",
		"failures never expire":          "0 0 0 0 +1h 0 no:1s +1h open:0 0 no:2s",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service := &upstream{}
				client := newSteady(Config{Service: "MAA", Transport: service})
				for i, word := range strings.Fields(script) {
					if err := play(t.Context(), client, service, word); err != nil {
						t.Fatalf("word %d, %s: %v", i+1, word, err)
					}
				}
			})
		})
	}
}

func play(ctx context.Context, client *Client, service *upstream, word string) error {
	if wait, ok := strings.CutPrefix(word, "+"); ok {
		d, err := time.ParseDuration(wait)
		time.Sleep(d)
		return err
	}
	if n, ok := strings.CutPrefix(word, "open:"); ok {
		if got := strconv.Itoa(client.OpenCircuits()); got != n {
			return fmt.Errorf("%s circuits are open", got)
		}
		return nil
	}
	before := service.asked
	if left, ok := strings.CutPrefix(word, "no:"); ok {
		return checkAtOnce(ask(ctx, client, "maa.example"), left, service.asked-before)
	}
	service.status, _ = strconv.Atoi(word)
	if err := ask(ctx, client, "maa.example"); errors.Is(err, errOpen) || service.asked != before+1 {
		return fmt.Errorf("got %w after %d attempts", err, service.asked-before)
	}
	return nil
}

func checkAtOnce(err error, left string, asked int) error {
	refused, ok := errors.AsType[*refusal.Error](err)
	const public = "unavailable: MAA has been failing and is not asked for now; try again later"
	if !ok || !errors.Is(err, errOpen) || refused.RetryAfter.String() != left || refused.Public() != public || asked != 0 {
		return fmt.Errorf("got %w after %d attempts (%s)", err, asked, public)
	}
	return nil
}

// TestUntrustedCountsAsAlive checks that a service with malformed answers counts as alive.
func TestUntrustedCountsAsAlive(t *testing.T) {
	service := &upstream{status: http.StatusOK}
	client := newSteady(Config{Transport: service, MaxBody: 3})
	for range 2 * defaultFailures {
		if err := ask(t.Context(), client, "maa.example"); !errors.Is(err, refusal.Untrusted) {
			t.Fatalf("got %v", err)
		}
	}
}

// TestOneProbe checks that other requests are refused while a probe is in progress.
func TestOneProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &upstream{}
		slow := roundTrip(func(r *http.Request) (*http.Response, error) {
			time.Sleep(3 * time.Second)
			return service.RoundTrip(r)
		})
		client := newSteady(Config{Service: "MAA", Transport: slow, Retry: Retry{Attempts: 3}})
		client.sleep = func(context.Context, time.Duration) error { return nil }
		break5(t, client, "maa.example")
		time.Sleep(time.Second)
		service.asked = 0
		var refused sync.WaitGroup
		probe := make(chan error)
		go func() { probe <- ask(t.Context(), client, "maa.example") }()
		synctest.Wait()
		for range 10 {
			refused.Go(func() {
				if err := checkAtOnce(ask(t.Context(), client, "maa.example"), "1s", 0); err != nil {
					t.Error(err)
				}
			})
		}
		refused.Wait()
		if client.OpenCircuits() != 1 {
			t.Error("a host under probe must count as open")
		}
		if err := <-probe; !errors.Is(err, refusal.Unavailable) || service.asked != 1 {
			t.Errorf("the probe got %v after %d attempts, want one", err, service.asked)
		}
	})
}

// TestProbePlaceIsFreed checks that a probe without a result frees its place.
func TestProbePlaceIsFreed(t *testing.T) {
	for name, probe := range map[string]func(context.Context, *Client){
		"cancelled": func(ctx context.Context, client *Client) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			_ = ask(ctx, client, "silent.example")
		},
		"no time": func(ctx context.Context, client *Client) {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_ = ask(ctx, client, "silent.example")
		},
		"panic": func(ctx context.Context, client *Client) {
			defer func() { _ = recover() }()
			client.observe = func(context.Context, Exchange) { panic("from the observer") }
			_ = ask(ctx, client, "silent.example")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := newSteady(Config{Transport: silent})
				break5(t, client, "silent.example")
				time.Sleep(time.Second)
				probe(t.Context(), client)
				client.observe = nil
				client.transport = &upstream{status: http.StatusOK}
				if err := ask(t.Context(), client, "silent.example"); err != nil {
					t.Errorf("the next probe got %v", err)
				}
			})
		})
	}
}

// TestImpatientCallers checks that a caller that leaves before an attempt ends does not
// count for the circuit. A caller whose attempt failed does.
func TestImpatientCallers(t *testing.T) {
	const attempt, many = 2 * time.Second, 4 * defaultFailures
	ending := func(err error, after time.Duration) func(context.Context) (context.Context, func()) {
		return func(ctx context.Context) (context.Context, func()) {
			if errors.Is(err, context.Canceled) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(after, cancel)
				return ctx, cancel
			}
			return context.WithTimeout(ctx, after)
		}
	}
	for _, test := range []struct {
		name  string
		limit func(context.Context) (context.Context, func())
		opens bool
	}{
		{"deadline in the first attempt", ending(context.DeadlineExceeded, attempt/2), false},
		{"deadline in the second attempt", ending(context.DeadlineExceeded, attempt*9/4), true},
		{"cancelled in the first attempt", ending(context.Canceled, attempt/2), false},
		{"cancelled between attempts", ending(context.Canceled, attempt*5/4), false},
		{"cancelled in the second attempt", ending(context.Canceled, attempt*9/4), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := newSteady(Config{Transport: silent, Timeout: attempt, Retry: Retry{Attempts: 2, Base: attempt * 3 / 4, Cap: attempt, Budget: many}})
				opened := false
				for range many {
					ctx, cancel := test.limit(t.Context())
					opened = opened || errors.Is(ask(ctx, client, "maa.example"), errOpen)
					cancel()
				}
				if opened != test.opens {
					t.Errorf("the circuit opens: %v", opened)
				}
			})
		})
	}
}

// TestRetriesEndWithTheCircuit checks that a request stops when another one opens the circuit.
func TestRetriesEndWithTheCircuit(t *testing.T) {
	for name, other := range map[string]time.Duration{"in an attempt": 500 * time.Millisecond, "in a wait": 2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service := &upstream{status: http.StatusServiceUnavailable}
				slow := roundTrip(func(r *http.Request) (*http.Response, error) {
					time.Sleep(time.Second)
					return service.RoundTrip(r)
				})
				client := newSteady(Config{Transport: slow, Retry: Retry{Attempts: 4, Base: 4 * time.Second}, Circuit: Circuit{Failures: 1}})
				time.AfterFunc(other, func() { client.hosts.leave(t.Context(), &visit{host: "maa.example", saw: outage}) })
				err := ask(t.Context(), client, "maa.example")
				if !errors.Is(err, refusal.Unavailable) || errors.Is(err, errOpen) || service.asked != 1 {
					t.Errorf("got %v after %d attempts", err, service.asked)
				}
			})
		})
	}
}

// TestLateEnds checks requests that start before the circuit opens and end after it.
func TestLateEnds(t *testing.T) {
	begin := func(client *Client) *visit { v, _ := client.hosts.enter("", "maa.example"); return v }
	end := func(client *Client, v *visit, saw sight) {
		v.saw = saw
		client.hosts.leave(context.Background(), v)
	}
	left := func(client *Client) time.Duration { _, left := client.hosts.enter("", "maa.example"); return left }
	synctest.Test(t, func(t *testing.T) {
		client := newSteady(Config{Transport: &upstream{}})
		answered, failed := begin(client), begin(client)
		break5(t, client, "maa.example")
		end(client, failed, outage)
		if got := left(client); got != time.Second {
			t.Errorf("a late failure makes the pause %v", got)
		}
		time.Sleep(time.Second)
		probe := begin(client)
		end(client, answered, life)
		if got := left(client); got != 0 {
			t.Errorf("after a late answer the host is avoided for %v", got)
		}
		end(client, probe, outage)
		if got := left(client); got != 0 {
			t.Errorf("one failure after that answer opens for %v", got)
		}
	})
}

// TestHostsAreApart checks that a name that does not exist costs one attempt, no budget and
// does not affect other hosts.
func TestHostsAreApart(t *testing.T) {
	asked := map[string]int{}
	client := newSteady(Config{Retry: Retry{Attempts: 4}, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		asked[r.URL.Host]++
		if r.URL.Host == "live.example" {
			return answerOf(http.StatusOK), nil
		}
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: r.URL.Host, IsNotFound: true}}
	})})
	for range 2 * defaultFailures {
		if err := ask(t.Context(), client, "none.example"); !errors.Is(err, refusal.Unavailable) {
			t.Fatalf("got %v", err)
		}
		if err := ask(t.Context(), client, "live.example"); err != nil {
			t.Fatal(err)
		}
	}
	if asked["none.example"] != defaultFailures || asked["live.example"] != 2*defaultFailures || client.OpenCircuits() != 1 {
		t.Errorf("requests %v, with %d open circuits", asked, client.OpenCircuits())
	}
	if left := client.budget.left; left != float64(DefaultRetry().Budget) {
		t.Errorf("%v retries remain", left)
	}
}

func TestHostsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newSteady(Config{Service: "MAA", Transport: &upstream{}})
		name := func(i int) string { return fmt.Sprintf("host%d.example", i) }
		break5(t, client, name(0))
		for i := range 5 * maxHosts {
			_ = ask(t.Context(), client, name(i+1))
		}
		if err := checkAtOnce(ask(t.Context(), client, name(0)), "1s", 0); err != nil {
			t.Errorf("many hosts with one failure evict a dead host: %v", err)
		}
		for i := range 2 * maxHosts {
			break5(t, client, fmt.Sprintf("dead%d.example", i))
			_ = ask(t.Context(), client, name(0)) // a used host is kept
		}
		if err := checkAtOnce(ask(t.Context(), client, name(0)), "1s", 0); err != nil {
			t.Errorf("a used host was evicted: %v", err)
		}
		if n := client.hosts.known.Len(); n != maxHosts || client.OpenCircuits() != maxHosts {
			t.Errorf("%d circuits are recorded, %d of them open, want %d", n, client.OpenCircuits(), maxHosts)
		}
	})
}

func TestCircuitDefaults(t *testing.T) {
	for given, want := range map[Circuit]Circuit{
		{}:                                {5, time.Second, 30 * time.Second},
		{-1, -1, -1}:                      {5, time.Second, 30 * time.Second},
		{3, 2 * time.Second, time.Minute}: {3, 2 * time.Second, time.Minute},
		{Open: time.Minute}:               {5, time.Minute, time.Minute},
		{Open: time.Minute, MaxOpen: 2 * time.Second}: {5, time.Minute, time.Minute},
	} {
		if got := given.withDefaults(); got != want {
			t.Errorf("%+v becomes %+v, want %+v", given, got, want)
		}
	}
}

// TestPausesDiffer checks that pauses vary from half of the maximum to all of it.
func TestPausesDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHosts(Circuit{}, Fleet{}, time.Second, fullJitter)
		for _, pause := range []time.Duration{1, 2, 3, time.Second, defaultMaxOpen} {
			seen := map[time.Duration]bool{}
			for range 100 {
				c := &circuit{}
				s.rest(c, pause)
				left := time.Until(c.until)
				if left < pause/2 || left > pause {
					t.Fatalf("a pause of %v lasts %v", pause, left)
				}
				seen[left] = true
			}
			if pause >= time.Second && len(seen) < 50 {
				t.Errorf("only %d different pauses of %v", len(seen), pause)
			}
		}
	})
}

// TestCircuitUnderLoad runs many callers, some of which leave, against a service that
// comes and goes. At the end each host can be asked again.
func TestCircuitUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		client := New(Config{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			time.Sleep(10 * time.Millisecond)
			if time.Since(start) < 6*time.Second && time.Since(start)/(2*time.Second)%2 == 0 {
				return answerOf(http.StatusServiceUnavailable), nil
			}
			return answerOf(http.StatusOK), nil
		})})
		var callers sync.WaitGroup
		for i := range 50 {
			callers.Go(func() {
				pace := time.Duration(i+5) * time.Millisecond
				for time.Since(start) < 8*time.Second {
					ctx, cancel := context.WithTimeout(t.Context(), pace)
					_ = ask(ctx, client, fmt.Sprintf("host%d.example", i%3))
					_ = client.OpenCircuits()
					cancel()
					time.Sleep(pace)
				}
			})
		}
		callers.Wait()
		time.Sleep(defaultMaxOpen)
		for i := range 3 {
			if err := ask(t.Context(), client, fmt.Sprintf("host%d.example", i)); err != nil {
				t.Error(err)
			}
		}
		if client.hosts.known.Len() != 0 {
			t.Errorf("%d circuits are recorded for hosts that answer", client.hosts.known.Len())
		}
	})
}

// A host has one state. An answer after an outage leaves its throttling unchanged, and the
// reverse. A host that answers has no state.
func TestHostHasOneState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHosts(Circuit{}, Fleet{}, time.Second, fullJitter)
		outageOf := func() {
			for range defaultFailures {
				s.leave(t.Context(), &visit{host: "a", saw: outage})
			}
		}
		answer := func() { s.leave(t.Context(), &visit{host: "a", saw: life}) }
		outageOf()
		s.refused("", "a", time.Minute)
		if n := s.known.Len(); n != 1 || !s.isOpen("a") || s.left("a") == 0 {
			t.Fatalf("%d hosts, open %v, left %v", n, s.isOpen("a"), s.left("a"))
		}
		answer()
		if s.isOpen("a") || s.left("a") == 0 {
			t.Errorf("after an answer: open %v, left %v", s.isOpen("a"), s.left("a"))
		}
		outageOf()
		time.Sleep(s.left("a"))
		s.answered("a")
		if !s.isOpen("a") || s.left("a") != 0 {
			t.Errorf("after the wait: open %v, left %v", s.isOpen("a"), s.left("a"))
		}
		if answer(); s.known.Len() != 0 {
			t.Error("a host that answers has a state")
		}
	})
}

// To make room, hosts that may be asked are evicted before hosts that are avoided for any
// reason.
func TestAvoidedHostsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newHosts(Circuit{}, Fleet{}, time.Second, func(time.Duration) time.Duration { return 0 })
		for range defaultFailures {
			s.leave(t.Context(), &visit{host: "open", saw: outage})
		}
		s.refused("", "throttling", time.Hour)
		for i := range 2 * maxHosts {
			s.leave(t.Context(), &visit{host: strconv.Itoa(i), saw: outage}) // fails once
		}
		if s.known.Len() != maxHosts || !s.isOpen("open") || s.left("throttling") == 0 {
			t.Errorf("%d hosts, open %v, left %v", s.known.Len(), s.isOpen("open"), s.left("throttling"))
		}
	})
}
