package keyrelease

import (
	"context"
	"sync"
	"time"

	"skr/internal/crash"
)

// flight does equal concurrent work once. Unlike x/sync/singleflight it gives
// each caller a share of its own, so that a caller may wipe what it got, and it
// ends the work when the last caller has gone.
type flight[K comparable, V any] struct {
	timeout time.Duration // of the work
	share   func(V) V     // makes a caller's own value; nil shares the value itself
	discard func(V)       // is called when no caller is left; nil does nothing

	mu    sync.Mutex
	calls map[K]*call[V]
}

type call[V any] struct {
	done   chan struct{}
	cancel context.CancelFunc
	value  V     // valid after done
	err    error // valid after done

	callers int // guarded by flight.mu
}

// do joins the work for key, or starts it. The work sees ctx's values but not
// its end: other callers may be waiting for it.
func (f *flight[K, V]) do(ctx context.Context, key K, work func(context.Context) (V, error)) (V, error) {
	c := f.join(ctx, key, work)
	defer f.leave(key, c)
	select {
	case <-c.done:
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
	if c.err != nil || f.share == nil {
		return c.value, c.err
	}
	return f.share(c.value), nil
}

func (f *flight[K, V]) join(ctx context.Context, key K, work func(context.Context) (V, error)) *call[V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.calls[key]; c != nil {
		c.callers++
		return c
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.timeout) //nolint:gosec // run and leave call it
	c := &call[V]{done: make(chan struct{}), cancel: cancel, callers: 1}
	if f.calls == nil {
		f.calls = make(map[K]*call[V])
	}
	f.calls[key] = c
	go f.run(ctx, key, c, work)
	return c
}

func (f *flight[K, V]) run(ctx context.Context, key K, c *call[V], work func(context.Context) (V, error)) {
	defer c.cancel()
	c.value, c.err = guard(ctx, work)
	f.mu.Lock()
	f.forget(key, c)
	abandoned := c.callers == 0
	close(c.done)
	f.mu.Unlock()
	if abandoned {
		f.drop(c)
	}
}

// guard turns a panic into an error: in this goroutine it would end the process.
func guard[V any](ctx context.Context, work func(context.Context) (V, error)) (value V, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = crash.From(cause)
		}
	}()
	return work(ctx)
}

func (f *flight[K, V]) leave(key K, c *call[V]) {
	f.mu.Lock()
	c.callers--
	last, landed := c.callers == 0, c.landed()
	if last {
		f.forget(key, c)
	}
	f.mu.Unlock()
	if !last {
		return
	}
	c.cancel()
	if landed { // else run drops it
		f.drop(c)
	}
}

// landed is exact while flight.mu is held: run closes done under it.
func (c *call[V]) landed() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// forget lets the next caller start anew. f.mu is held.
func (f *flight[K, V]) forget(key K, c *call[V]) {
	if f.calls[key] == c {
		delete(f.calls, key)
	}
}

func (f *flight[K, V]) drop(c *call[V]) {
	if c.err == nil && f.discard != nil {
		f.discard(c.value)
	}
}
