package keyrelease

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
		f := flight[string, int]{
			timeout: time.Minute,
			share:   func(v int) int { shares.Add(1); return v },
			discard: func(int) { discards.Add(1) },
		}
		work := func(context.Context) (int, error) { works.Add(1); time.Sleep(time.Second); return 7, nil }
		var callers sync.WaitGroup
		for range 64 {
			callers.Go(func() {
				if v, err := f.do(t.Context(), "k", work); v != 7 || err != nil {
					t.Errorf("do = %v, %v", v, err)
				}
			})
		}
		callers.Wait()
		if works.Load() != 1 || shares.Load() != 64 || discards.Load() != 1 {
			t.Errorf("%d works, %d shares, %d discards; want 1, 64, 1", works.Load(), shares.Load(), discards.Load())
		}
		if _, err := f.do(t.Context(), "k", work); err != nil || works.Load() != 2 {
			t.Errorf("a later call did not work anew: %v, %d works", err, works.Load())
		}
	})
}

func TestFlightOutlivesItsFirstCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := flight[string, int]{timeout: time.Minute}
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
			if _, err := f.do(ctx, "k", work); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the impatient caller got %v", err)
			}
		})
		synctest.Wait()
		if v, err := f.do(t.Context(), "k", work); v != 7 || err != nil {
			t.Errorf("the patient caller got %v, %v", v, err)
		}
		callers.Wait()
	})
}

func TestFlightEndsWithItsLastCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended, discarded atomic.Bool
		f := flight[string, int]{timeout: time.Hour, discard: func(int) { discarded.Store(true) }}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := f.do(ctx, "k", func(ctx context.Context) (int, error) {
			<-ctx.Done()
			ended.Store(true)
			return 7, nil // too late: nobody is there to wipe it
		})
		synctest.Wait()
		if !errors.Is(err, context.DeadlineExceeded) || !ended.Load() || !discarded.Load() {
			t.Errorf("err %v, ended %v, discarded %v", err, ended.Load(), discarded.Load())
		}
	})
}

func TestFlightBoundsTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := flight[string, int]{timeout: time.Second}
		_, err := f.do(t.Context(), "k", func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
	})
}

func TestFlightSurvivesAPanic(t *testing.T) {
	f := flight[string, int]{timeout: time.Minute}
	_, err := f.do(t.Context(), "k", func(context.Context) (int, error) { panic("boom") })
	if err == nil || !strings.Contains(err.Error(), "panic with a string") || strings.Contains(err.Error(), "boom") {
		t.Errorf("err = %v", err)
	}
}
