package limit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"skr/internal/refusal"
)

// fast is a rate that no test here reaches by accident.
const fast = 1e9

func enter(t *testing.T, g *Gate, caller string) (leave func()) {
	t.Helper()
	leave, err := g.Enter(t.Context(), caller)
	if err != nil {
		t.Fatalf("%s: %v", caller, err)
	}
	return leave
}

func wantLoad(t *testing.T, g *Gate, running, queued int) {
	t.Helper()
	if r, q := g.Load(); r != running || q != queued {
		t.Fatalf("%d run and %d wait, want %d and %d", r, q, running, queued)
	}
}

// wantThrottled checks for the reason and the time to wait.
func wantThrottled(t *testing.T, err error, reason string, wait time.Duration) {
	t.Helper()
	refused, ok := errors.AsType[*refusal.Error](err)
	if !ok || refused.Kind != refusal.Throttled || refused.Reason != reason || refused.RetryAfter != wait {
		t.Fatalf("got %v (%+v), want %q after %v", err, refused, reason, wait)
	}
}

// arrivals records the order in which waiting requests got their places.
type arrivals struct {
	mu    sync.Mutex
	names []string
	leave map[string]func()
}

func (a *arrivals) await(t *testing.T, g *Gate, caller, name string) {
	go func() {
		leave, err := g.Enter(t.Context(), caller)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.names = append(a.names, name)
		if a.leave == nil {
			a.leave = make(map[string]func())
		}
		a.leave[name] = leave
	}()
	synctest.Wait() // one after the other, for a known order in the queue
}

func (a *arrivals) want(t *testing.T, names ...string) {
	t.Helper()
	synctest.Wait()
	if !slices.Equal(a.names, names) {
		t.Fatalf("admitted %v, want %v", a.names, names)
	}
}

func TestFirstComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Config{MaxConcurrent: 2, MaxQueued: 8})
		first, second := enter(t, g, "a"), enter(t, g, "b")
		var got arrivals
		got.await(t, g, "a", "a2")
		got.await(t, g, "c", "c1")
		got.await(t, g, "b", "b2")
		wantLoad(t, g, 2, 3)
		first()
		got.want(t, "a2")
		second()
		got.want(t, "a2", "c1")
		got.leave["a2"]()
		got.want(t, "a2", "c1", "b2")
		got.leave["c1"]()
		got.leave["b2"]()
		wantLoad(t, g, 0, 0)
	})
}

// A caller that uses its share waits even while places are free. Other callers pass it.
func TestOneCallerDoesNotStarveTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Config{MaxConcurrent: 4, MaxQueued: 4})
		greedy, another := enter(t, g, "greedy"), enter(t, g, "greedy")
		var got arrivals
		got.await(t, g, "greedy", "greedy 3")
		got.await(t, g, "greedy", "greedy 4")
		got.want(t)
		_, err := g.Enter(t.Context(), "greedy")
		wantThrottled(t, err, "too many requests at once, try again", time.Second)

		b, c := enter(t, g, "b"), enter(t, g, "c")
		wantLoad(t, g, 4, 2)
		got.await(t, g, "d", "d 1")
		b()
		got.want(t, "d 1")
		greedy()
		got.want(t, "d 1") // the free place is for another caller
		c()
		got.want(t, "d 1", "greedy 3")
		another()
		got.want(t, "d 1", "greedy 3", "greedy 4")
		for _, leave := range got.leave {
			leave()
		}
		wantLoad(t, g, 0, 0)
	})
}

// Callers that use all they get leave room for the next caller, in the places and in the
// queue.
func TestManyCallersLeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		g := New(Config{MaxConcurrent: 32, MaxQueued: 64, Rate: fast})
		for i := range 4 {
			for range 200 {
				go func() { _, _ = g.Enter(ctx, fmt.Sprint("uid ", i)) }()
			}
			synctest.Wait()
		}
		wantLoad(t, g, 16+8+4+2, 32+16+8+4)
		enter(t, g, "well-behaved")
		end()
		synctest.Wait()
		wantLoad(t, g, 31, 0)
	})
}

// Free places are taken by all callers that may have them.
func TestNoCallerWaitsBelowItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Config{MaxConcurrent: 8, MaxQueued: 64, Rate: fast})
		var running []func()
		for _, caller := range []string{"a", "a", "a", "a", "b", "b", "c"} {
			running = append(running, enter(t, g, caller))
		}
		var got arrivals
		for i := range 4 {
			got.await(t, g, "b", fmt.Sprint("b", i))
			got.await(t, g, "a", fmt.Sprint("a", i))
		}
		for _, leave := range running {
			leave()
			synctest.Wait()
			free := 8 - g.running
			for e := g.queue.Front(); e != nil; e = e.Next() {
				if p, _ := e.Value.(*place); p.caller.running < free {
					t.Fatalf("a caller with %d places waits while %d are free", p.caller.running, free)
				}
			}
		}
		for g.queue.Len() > 0 {
			for _, leave := range slices.Collect(maps.Values(got.leave)) { // leaving admits others
				leave()
			}
			synctest.Wait()
		}
		if len(got.names) != 8 {
			t.Errorf("%v were admitted", got.names)
		}
	})
}

// Answers from the cache count only with their cost.
func TestCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Config{Rate: 4})
		kept := 0
		for {
			leave, err := g.Enter(t.Context(), "a")
			if err != nil {
				break
			}
			leave()
			g.Credit("a")
			kept++
		}
		if least := int(math.Floor(3 / KeptShare)); kept < least {
			t.Errorf("%d answers from the cache at once, want %d", kept, least)
		}
		g.Credit("nobody")
		time.Sleep(time.Hour)
		g.Credit("a") // a full bucket holds no more
		for range 4 {
			enter(t, g, "a")()
		}
		if _, err := g.Enter(t.Context(), "a"); err == nil {
			t.Error("a fifth request was admitted at once")
		}
	})
}

// A cached key may be requested as often as a processor can answer.
func TestDefaultRate(t *testing.T) {
	if kept := DefaultRate(2) / KeptShare; kept < 20000 {
		t.Errorf("one caller gets a cached key %.0f times a second on two processors", kept)
	}
}

// The first refusals are immediate. Further ones are delayed, up to a limit. A peer's
// refusals do not delay another peer's.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Refusals
		for i := range refusalRate {
			if delay := r.delay("uid 1"); delay != 0 {
				t.Fatalf("refusal %d waits %v", i, delay)
			}
		}
		begin := time.Now()
		r.Wait(t.Context(), "uid 1")
		if took := time.Since(begin); took != time.Second/refusalRate {
			t.Errorf("the first delayed refusal waits %v", took)
		}
		for range 10000 {
			if delay := r.delay("uid 1"); delay > refusalDelay {
				t.Fatalf("a delay of %v", delay)
			}
		}
		if delay := r.delay("uid 1"); delay != refusalDelay {
			t.Errorf("a flood is delayed by %v", delay)
		}
		if r.delay("uid 2") != 0 {
			t.Error("another peer waits")
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		begin = time.Now()
		r.Wait(gone, "uid 1")
		if time.Since(begin) != 0 {
			t.Error("the gate waits for a caller that has left")
		}
		for range maxWaiting + 1 {
			go r.Wait(t.Context(), "uid 1")
		}
		synctest.Wait()
		if r.waiting != maxWaiting || r.Wait(t.Context(), "uid 1") || !r.Wait(t.Context(), "uid 2") {
			t.Errorf("%d refusals wait", r.waiting)
		}
		time.Sleep(refusalDelay)
		synctest.Wait()
		if r.waiting != 0 {
			t.Errorf("%d refusals still wait", r.waiting)
		}
		if delay := r.delay("uid 1"); delay > time.Second/refusalRate {
			t.Errorf("a flood that ended %v ago delays the next refusal by %v", refusalDelay, delay)
		}
		for i := range 3 * maxPeers {
			r.delay(fmt.Sprint("uid ", i))
		}
		if r.peers.Len() > maxPeers {
			t.Errorf("%d peers are recorded", r.peers.Len())
		}
	})
}

func TestFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Config{MaxConcurrent: 1, MaxQueued: 2})
		leave := enter(t, g, "a")
		var got arrivals
		got.await(t, g, "b", "b")
		got.await(t, g, "c", "c")
		_, err := g.Enter(t.Context(), "d")
		wantThrottled(t, err, "too many requests at once, try again", time.Second)
		leave()
		got.want(t, "b")
		got.leave["b"]()
		got.want(t, "b", "c")
		got.leave["c"]()
	})
}

func TestLeavingTwiceFreesOnePlace(t *testing.T) {
	g := New(Config{MaxConcurrent: 4})
	leave := enter(t, g, "a")
	defer enter(t, g, "b")()
	leave()
	leave()
	wantLoad(t, g, 1, 0)
}

func TestTheEndOfAWait(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(context.Context) (context.Context, context.CancelFunc)
		want error
		not  error
	}{
		"deadline": {
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, time.Minute)
			},
			refusal.Timeout, context.Canceled,
		},
		"cancelled": {
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(time.Minute, cancel)
				return ctx, cancel
			},
			context.Canceled, refusal.Timeout,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := New(Config{MaxConcurrent: 1})
				leave := enter(t, g, "a")
				ctx, cancel := tc.end(t.Context())
				defer cancel()
				begin := time.Now()
				_, err := g.Enter(ctx, "b")
				if !errors.Is(err, tc.want) || errors.Is(err, tc.not) || time.Since(begin) != time.Minute {
					t.Errorf("after %v: %v", time.Since(begin), err)
				}
				wantLoad(t, g, 1, 0)
				leave()
				enter(t, g, "b")()
			})
		})
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Config{Rate: 0.25})
		enter(t, g, "a")()
		_, err := g.Enter(t.Context(), "a")
		wantThrottled(t, err, "too many requests a second by this caller, try again", 4*time.Second)
		enter(t, g, "b")()
		time.Sleep(3500 * time.Millisecond)
		_, err = g.Enter(t.Context(), "a")
		wantThrottled(t, err, "too many requests a second by this caller, try again", time.Second)
		time.Sleep(500 * time.Millisecond)
		enter(t, g, "a")()
		wantLoad(t, g, 0, 0)
	})
}

func TestAQuietCallerMayBeginASecondsWorth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Config{Rate: 3})
		for range 2 {
			for range 3 {
				enter(t, g, "a")()
			}
			_, err := g.Enter(t.Context(), "a")
			wantThrottled(t, err, "too many requests a second by this caller, try again", time.Second)
			time.Sleep(time.Hour)
		}
	})
}

func TestAFloodOfCallersIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Config{Rate: 2})
		busy := enter(t, g, "busy")
		enter(t, g, "drained")()
		enter(t, g, "drained")()
		for i := range 4 * maxCallers {
			enter(t, g, fmt.Sprint("uid ", i))()
		}
		if len(g.callers) > maxCallers {
			t.Errorf("%d callers are recorded, want at most %d", len(g.callers), maxCallers)
		}
		_, err := g.Enter(t.Context(), "drained")
		wantThrottled(t, err, "too many requests a second by this caller, try again", time.Second)
		busy()
		wantLoad(t, g, 0, 0)

		time.Sleep(time.Minute) // all buckets are full
		const more = maxCallers/4 + 1
		for i := range more {
			enter(t, g, fmt.Sprint("new ", i))()
		}
		if len(g.callers) > more {
			t.Errorf("%d callers are recorded, want at most %d", len(g.callers), more)
		}
	})
}

// Many requests arrive, wait, give up and leave at once. No place is lost.
func TestNoPlaceIsLost(t *testing.T) {
	g := New(Config{MaxConcurrent: 4, MaxQueued: 8, Rate: fast})
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			caller := fmt.Sprint(i % 5)
			for range 500 {
				ctx, cancel := context.WithTimeout(t.Context(), rand.N(100*time.Microsecond))
				if leave, err := g.Enter(ctx, caller); err == nil {
					if running, queued := g.Load(); running > 4 || queued > 8 {
						t.Errorf("%d run and %d wait", running, queued)
					}
					leave()
				}
				cancel()
			}
		})
	}
	all.Wait()
	wantLoad(t, g, 0, 0)
	for name, c := range g.callers {
		if c.running != 0 || c.queued != 0 {
			t.Errorf("caller %s still has %d running and %d waiting", name, c.running, c.queued)
		}
	}
	for _, caller := range []string{"a", "b", "c", "d"} {
		defer enter(t, g, caller)()
	}
}

func BenchmarkEnter(b *testing.B) {
	g := New(Config{Rate: fast})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		leave, err := g.Enter(ctx, "uid 1000")
		if err != nil {
			b.Fatal(err)
		}
		leave()
	}
}
