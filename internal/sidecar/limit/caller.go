package limit

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// maxCallers is how many callers are remembered, at about 200 bytes each. A pod
// has a few; more are somebody who takes a new uid for each request. Those that
// run or wait now are remembered in any case: the places bound them.
const maxCallers = 1024

// caller is guarded by Gate.mu.
type caller struct {
	running, queued int
	bucket          bucket
}

// pace counts a request, or says how long it would have to wait.
func (c *caller) pace(now time.Time) time.Duration {
	if wait := c.bucket.spend(now); wait > 0 {
		return max(wait, soon)
	}
	return 0
}

// caller of that name, remembered or new.
func (g *Gate) caller(name string) *caller {
	if c := g.callers[name]; c != nil {
		return c
	}
	now := g.config.Now()
	if len(g.callers) >= maxCallers {
		g.forget(now)
	}
	c := &caller{bucket: newBucket(g.config.Rate, g.burst(), now)}
	g.callers[name] = c
	return c
}

// burst is one second's worth of requests.
func (g *Gate) burst() float64 { return max(math.Ceil(g.config.Rate), 1) }

// forget idle callers, the fullest bucket first: a full one is as good as new,
// and its caller gains nothing. A quarter of the room is made at once, so that
// a flood of callers does not pay for this each time.
func (g *Gate) forget(now time.Time) {
	type idle struct {
		name   string
		tokens float64
	}
	var all []idle
	for name, c := range g.callers {
		if c.running+c.queued == 0 {
			c.bucket.fill(now)
			all = append(all, idle{name, c.bucket.tokens})
		}
	}
	slices.SortFunc(all, func(a, b idle) int { return cmp.Compare(b.tokens, a.tokens) })
	for i, c := range all {
		if i >= maxCallers/4 && c.tokens < g.burst() {
			return
		}
		delete(g.callers, c.name)
	}
}
