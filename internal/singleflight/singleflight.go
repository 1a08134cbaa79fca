// Package singleflight does equal concurrent work once.
//
//	chains := singleflight.Group[identity, *Chain]{Limit: time.Minute}
//	chain, err := chains.Do(ctx, id, func(ctx context.Context) (*Chain, error) { … })
//
// Unlike golang.org/x/sync/singleflight it counts its callers. Each may get a
// value of its own, to wipe when it has been used; the work outlives the caller
// that began it while another waits, and ends with the last; and a caller that
// still has time does not suffer from the short time of the one that began.
// A panic of the work is an error of every caller.
package singleflight

import (
	"context"
	"errors"
	"sync"
	"time"

	"skr/internal/crash"
)

// answerTime is left between the end of the work and the deadline of the caller
// that began it, so that the caller still hears why the work ended.
const answerTime = 50 * time.Millisecond

// Group does the work for each key once at a time. Its fields are set before
// the first use.
type Group[K comparable, V any] struct {
	// Limit of the work's time. Zero means only the deadline of its first caller.
	Limit time.Duration
	// Share makes a caller's own value. Nil gives all callers the same.
	Share func(V) V
	// Discard is called with the value when no caller is left. Nil does nothing.
	Discard func(V)

	mu    sync.Mutex
	calls map[K]*call[V]
}

type call[V any] struct {
	done    chan struct{}
	cancel  context.CancelFunc
	ends    time.Time // the work's deadline; zero if it has none
	value   V         // valid after done
	err     error     // valid after done
	expired bool      // the work ran out of time; valid after done

	callers int // guarded by Group.mu
}

// Do joins the work for key, or begins it. The work sees ctx's values and
// deadline, but not its cancellation: other callers may be waiting for it.
func (g *Group[K, V]) Do(ctx context.Context, key K, work func(context.Context) (V, error)) (V, error) {
	for least := (time.Time{}); ; least = g.enough(ctx) {
		c, began := g.join(ctx, key, least, work)
		value, err := g.wait(ctx, key, c)
		if err != nil && !began && c.ranOut() && ctx.Err() == nil {
			continue // that was the time of another caller
		}
		return value, err
	}
}

// enough is until when work must have time, for a caller whose time was wasted by
// another's to join it: half of what the caller's own work would have. Callers with
// little time that come again and again would else waste all of it.
func (g *Group[K, V]) enough(ctx context.Context) time.Time {
	now := time.Now()
	end, _ := g.end(ctx)
	return now.Add(end.Sub(now) / 2)
}

func (g *Group[K, V]) wait(ctx context.Context, key K, c *call[V]) (V, error) {
	defer g.leave(key, c)
	select {
	case <-c.done:
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
	if c.err != nil || g.Share == nil {
		return c.value, c.err
	}
	return g.Share(c.value), nil
}

// join work that ends no sooner than least, or begin it. Others join it from then on.
func (g *Group[K, V]) join(ctx context.Context, key K, least time.Time, work func(context.Context) (V, error)) (c *call[V], began bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.calls[key]; c != nil && (c.ends.IsZero() || !c.ends.Before(least)) {
		c.callers++
		return c, false
	}
	ctx, cancel := g.detach(ctx)
	c = &call[V]{done: make(chan struct{}), cancel: cancel, callers: 1}
	c.ends, _ = ctx.Deadline()
	if g.calls == nil {
		g.calls = make(map[K]*call[V])
	}
	g.calls[key] = c
	go g.run(ctx, key, c, work)
	return c, true
}

// detach keeps of ctx its values and, if it is sooner than the limit, its deadline.
func (g *Group[K, V]) detach(ctx context.Context) (context.Context, context.CancelFunc) {
	free := context.WithoutCancel(ctx)
	if end, limited := g.end(ctx); limited {
		return context.WithDeadline(free, end)
	}
	return context.WithCancel(free)
}

// end of work that begins now.
func (g *Group[K, V]) end(ctx context.Context) (end time.Time, limited bool) {
	deadline, limited := ctx.Deadline()
	deadline = deadline.Add(-answerTime)
	if end := time.Now().Add(g.Limit); g.Limit > 0 && (!limited || end.Before(deadline)) {
		return end, true
	}
	return deadline, limited
}

func (g *Group[K, V]) run(ctx context.Context, key K, c *call[V], work func(context.Context) (V, error)) {
	defer c.cancel()
	c.err = crash.Guard(func() (err error) {
		c.value, err = work(ctx)
		return err
	})
	// The work may heed the deadline a moment before the context's own timer fires.
	c.expired = errors.Is(ctx.Err(), context.DeadlineExceeded) || !c.ends.IsZero() && !time.Now().Before(c.ends)
	g.mu.Lock()
	g.forget(key, c)
	abandoned := c.callers == 0
	close(c.done)
	g.mu.Unlock()
	if abandoned {
		g.drop(c)
	}
}

func (g *Group[K, V]) leave(key K, c *call[V]) {
	g.mu.Lock()
	c.callers--
	last, finished := c.callers == 0, c.finished()
	if last {
		g.forget(key, c)
	}
	g.mu.Unlock()
	if !last {
		return
	}
	c.cancel()
	if finished { // else run drops it
		g.drop(c)
	}
}

// finished reports whether the work is over. It is exact while Group.mu is held: run closes done under it.
func (c *call[V]) finished() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (c *call[V]) ranOut() bool { return c.finished() && c.expired }

// forget lets the next caller begin anew. mu is held.
func (g *Group[K, V]) forget(key K, c *call[V]) {
	if g.calls[key] == c {
		delete(g.calls, key)
	}
}

func (g *Group[K, V]) drop(c *call[V]) {
	if c.err == nil && g.Discard != nil {
		g.Discard(c.value)
	}
}
