package singleflight

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestFlightDoesEqualWorkOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shares, discards, works atomic.Int32
		g := Group[string, int]{
			Limit:   time.Minute,
			Share:   func(v int) int { shares.Add(1); return v },
			Discard: func(int) { discards.Add(1) },
		}
		work := func(context.Context) (int, error) { works.Add(1); time.Sleep(time.Second); return 7, nil }
		var callers sync.WaitGroup
		for range 64 {
			callers.Go(func() {
				if v, err := g.Do(t.Context(), "k", work); v != 7 || err != nil {
					t.Errorf("do = %v, %v", v, err)
				}
			})
		}
		callers.Wait()
		if works.Load() != 1 || shares.Load() != 64 || discards.Load() != 1 {
			t.Errorf("%d works, %d shares, %d discards; want 1, 64, 1", works.Load(), shares.Load(), discards.Load())
		}
		if _, err := g.Do(t.Context(), "k", work); err != nil || works.Load() != 2 {
			t.Errorf("a later call did not start new work: %v, %d works", err, works.Load())
		}
	})
}

func TestFlightOutlivesItsFirstCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := Group[string, int]{Limit: time.Minute}
		work := func(ctx context.Context) (int, error) {
			select {
			case <-time.After(2 * time.Second):
				return 7, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		var callers sync.WaitGroup
		callers.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := g.Do(ctx, "k", work); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the caller with a short deadline got %v", err)
			}
		})
		synctest.Wait()
		if v, err := g.Do(t.Context(), "k", work); v != 7 || err != nil {
			t.Errorf("the other caller got %v, %v", v, err)
		}
		callers.Wait()
	})
}

func TestFlightEndsWithItsLastCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended, discarded atomic.Bool
		g := Group[string, int]{Limit: time.Hour, Discard: func(int) { discarded.Store(true) }}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := g.Do(ctx, "k", func(ctx context.Context) (int, error) {
			<-ctx.Done()
			ended.Store(true)
			return 7, nil // too late: no caller is left to wipe it
		})
		synctest.Wait()
		if !errors.Is(err, context.Canceled) || !ended.Load() || !discarded.Load() {
			t.Errorf("err %v, ended %v, discarded %v", err, ended.Load(), discarded.Load())
		}
	})
}

func TestFlightBoundsTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := Group[string, int]{Limit: time.Second}
		_, err := g.Do(t.Context(), "k", func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
	})
}

func TestFlightSurvivesAPanic(t *testing.T) {
	g := Group[string, int]{Limit: time.Minute}
	_, err := g.Do(t.Context(), "k", func(context.Context) (int, error) { panic("boom") })
	if err == nil || !strings.Contains(err.Error(), "panic with a string") || strings.Contains(err.Error(), "boom") {
		t.Errorf("err = %v", err)
	}
}

// The caller that started the work learns why it ended. A caller that joined with more time
// gets its own work.
func TestFlightTimeOfAnotherCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[string, int]
		errSlow := errors.New("the service is slow")
		var works atomic.Int32
		work := func(ctx context.Context) (int, error) {
			if works.Add(1) == 2 {
				return 7, nil
			}
			<-ctx.Done()
			return 0, errSlow
		}
		var callers sync.WaitGroup
		callers.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := g.Do(ctx, "k", work); !errors.Is(err, errSlow) {
				t.Errorf("the first caller got %v", err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if v, err := g.Do(ctx, "k", work); v != 7 || err != nil || works.Load() != 2 {
			t.Errorf("the second caller got %v, %v after %d works", v, err, works.Load())
		}
		callers.Wait()
	})
}

// If a caller's time ends at the same moment as the work's deadline, by the clock and
// before the context's timer, only that caller's time is spent.
func TestFlightEndsByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[string, int]
		var works atomic.Int32
		over := time.After(time.Second - answerTime) // set before the context's timer
		work := func(context.Context) (int, error) {
			if works.Add(1) == 2 {
				return 7, nil
			}
			<-over // like a dial, which applies the deadline itself
			return 0, errors.New("the time is over")
		}
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, _ = g.Do(ctx, "k", work)
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if v, err := g.Do(ctx, "k", work); v != 7 || err != nil {
			t.Errorf("the caller with time got %v, %v", v, err)
		}
	})
}

// Repeated callers with little time delay a caller with more time by at most one of their
// own deadlines. Callers with more time still share their work.
func TestFlightOfImpatientCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := Group[string, int]{Limit: time.Minute}
		var patient atomic.Int32
		work := func(ctx context.Context) (int, error) { // takes ten seconds
			if end, _ := ctx.Deadline(); time.Until(end) > 5*time.Second {
				patient.Add(1)
			}
			select {
			case <-time.After(10 * time.Second):
				return 7, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		done := make(chan struct{})
		for i := range 3 {
			go func() {
				for time.Sleep(time.Duration(i) * 300 * time.Millisecond); ; {
					select {
					case <-done:
						return
					default:
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					_, _ = g.Do(ctx, "k", work)
					cancel()
				}
			}()
		}
		synctest.Wait()
		start := time.Now()
		var callers sync.WaitGroup
		for i := range 8 {
			callers.Go(func() {
				ctx := t.Context() // half of them have no deadline
				if i%2 == 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, 30*time.Second)
					defer cancel()
				}
				if v, err := g.Do(ctx, "k", work); v != 7 || err != nil || time.Since(start) > 12*time.Second {
					t.Errorf("caller %d got %v, %v after %v", i, v, err, time.Since(start))
				}
			})
		}
		callers.Wait()
		close(done)
		if n := patient.Load(); n > 2 {
			t.Errorf("%d works for callers with more time, want one, or one of each kind", n)
		}
	})
}
