// Package limit bounds how many requests run at once, and how often one caller may
// ask.
//
// A [Gate] has places. A request takes one, or waits in a bounded queue, first
// come first, until one is free or its time is over. One caller has at most as many
// places, and as many in the queue, as are free: half of all if it is alone, and there
// is always room for the next caller. A request whose caller is at its share waits
// while later ones of other callers pass it. The rate of each caller is held by a token
// bucket, to which [Gate.Credit] returns most of what an answer from a cache was
// charged. [Refusals] delays callers that are refused again and again.
//
//	gate := limit.New(limit.Config{})
//	leave, err := gate.Enter(ctx, caller.Limit())
//	if err != nil {
//		return err // refusal.Throttled, with the time to wait
//	}
//	defer leave()
//
// The package knows callers by name. Package access decides what they may do.
package limit

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"skr/internal/refusal"
)

const (
	defaultPlaces = 128 // each may hold a body, evidence and a token: about 1 MiB
	defaultQueue  = 256 // two turns of the places: who waits longer is better told to come back

	// releaseCost and keptCost are what a release that asks the vault and one from the
	// cache take of a processor, measured (docs/performance.md, warm release, kept key).
	releaseCost = 5 * time.Millisecond
	keptCost    = 65 * time.Microsecond
	// KeptShare is what an answer from the cache counts, as a part of a request.
	KeptShare = float64(keptCost) / float64(releaseCost)

	// soon is the shortest wait that is asked of a caller: Retry-After counts
	// whole seconds, and a place is free within about one.
	soon = time.Second
)

// Config of a Gate.
type Config struct {
	// MaxConcurrent is how many requests may run at once. Zero means 128.
	MaxConcurrent int
	// MaxQueued is how many more may wait for a place. Zero means 256.
	MaxQueued int
	// Rate is how many requests a second one caller may begin; one that was
	// quiet may begin as many at once. Zero means [DefaultRate].
	Rate float64
	// Now is the clock of the rates. Nil means time.Now.
	Now func() time.Time
}

// DefaultRate returns how many releases a second the processors can do: a single
// caller may use all that the others leave.
func DefaultRate(processors int) float64 { return float64(processors) / releaseCost.Seconds() }

// Gate lets requests in.
type Gate struct {
	config Config

	mu      sync.Mutex
	running int                // places taken, at most config.MaxConcurrent
	queue   list.List          // of *place; while a place is free, those that wait here are at their caller's share
	callers map[string]*caller // all that run or wait, and some that did lately
}

// New makes a Gate with all places free.
func New(c Config) *Gate {
	c.MaxConcurrent = cmp.Or(c.MaxConcurrent, defaultPlaces)
	c.MaxQueued = cmp.Or(c.MaxQueued, defaultQueue)
	c.Rate = cmp.Or(c.Rate, DefaultRate(runtime.GOMAXPROCS(0)))
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Gate{config: c, callers: make(map[string]*caller)}
}

// Enter takes a place for a request of caller, if need be after waiting until
// ctx ends. leave gives it back; calling it again does nothing. An error is
// refusal.Throttled with the time to wait, refusal.Timeout if the deadline
// passed while waiting, or ctx's error if it was cancelled.
func (g *Gate) Enter(ctx context.Context, caller string) (leave func(), err error) {
	p, err := g.ask(caller)
	if err != nil {
		return nil, err
	}
	if p.admitted != nil {
		if err := g.wait(ctx, p); err != nil {
			return nil, err
		}
	}
	return func() { g.leave(p) }, nil
}

// Credit counts a request of caller that was answered from a cache as what it cost:
// [KeptShare] of a request.
func (g *Gate) Credit(caller string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.callers[caller]; c != nil {
		c.bucket.giveBack(1 - KeptShare)
	}
}

// Rate returns how many requests a second one caller may begin.
func (g *Gate) Rate() float64 { return g.config.Rate }

// Load says how many requests run and how many wait.
func (g *Gate) Load() (running, queued int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running, g.queue.Len()
}

// place of one request: running, in the queue, or left.
type place struct {
	caller   *caller
	left     bool          // guarded by Gate.mu
	admitted chan struct{} // closed when the wait is over; nil for a request that did not wait
	waits    *list.Element // in the queue, nil outside; guarded by Gate.mu
}

// ask for a place: the answer is a running one, a waiting one, or a refusal.
func (g *Gate) ask(name string) (*place, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.caller(name)
	if wait := c.pace(g.config.Now()); wait > 0 {
		return nil, throttled("too many requests a second by this caller, try again", wait)
	}
	p := &place{caller: c}
	switch {
	case g.hasPlace(c):
		g.start(p)
	case c.queued >= g.config.MaxQueued-g.queue.Len():
		return nil, throttled("too many requests at once, try again", soon)
	default:
		c.queued++
		p.admitted = make(chan struct{})
		p.waits = g.queue.PushBack(p)
	}
	return p, nil
}

// hasPlace reports whether fewer places are the caller's than are free.
func (g *Gate) hasPlace(c *caller) bool { return c.running < g.config.MaxConcurrent-g.running }

func (g *Gate) start(p *place) {
	g.running++
	p.caller.running++
}

func (g *Gate) wait(ctx context.Context, p *place) error {
	select {
	case <-p.admitted:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.waits == nil {
		return nil // admitted in the same moment; its owner sees that ctx has ended, and leaves
	}
	g.unqueue(p)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return refusal.Because(refusal.Timeout, "the deadline passed while waiting for a place", ctx.Err())
	}
	return ctx.Err()
}

func (g *Gate) unqueue(p *place) {
	g.queue.Remove(p.waits)
	p.waits = nil
	p.caller.queued--
}

func (g *Gate) leave(p *place) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.left {
		return
	}
	p.left = true
	g.running--
	p.caller.running--
	g.admitNext()
}

// admitNext admits waiting requests, first come first. One place that comes free may make
// room for two requests: it raises the share of each caller, and the caller that left
// is one further from its own.
func (g *Gate) admitNext() {
	var next *list.Element
	for e := g.queue.Front(); e != nil; e = next {
		next = e.Next()
		if p, _ := e.Value.(*place); g.hasPlace(p.caller) {
			g.unqueue(p)
			g.start(p)
			close(p.admitted)
		}
	}
}

func throttled(reason string, wait time.Duration) error {
	return &refusal.Error{Kind: refusal.Throttled, Reason: reason, RetryAfter: max(wait, soon)}
}
