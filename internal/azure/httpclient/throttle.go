package httpclient

import (
	"cmp"
	"context"
	"errors"
	"time"

	"skr/internal/refusal"
)

// The window over which a throttled client spreads its next request begins with
// what the service asked for, and is four times as long after each further
// refusal. docs/decisions/0013-fleet.md has the figures of others.
const (
	widen     = 4
	maxSpread = 2 * time.Minute
	// maxAsked bounds what a service can make us wait, whatever it asks for.
	maxAsked = 10 * time.Minute
	// margin is how much before the time a caller is told to come back: it counts
	// in whole seconds, and we in less. A wait that leaves less than this before
	// the deadline leaves no time for an answer.
	margin = 2 * time.Second
)

// errHeld is the cause of a refusal that cost no packet.
var errHeld = errors.New("the service has throttled us, and the wait is not over")

// throttle is the state of a host that throttles. Unlike a circuit it does not say that
// the host is ill: it says when our next request suits it. All requests of the client wait
// for the same moment, so that no request asks the host while another waits.
type throttle struct {
	strikes int       // refusals in a row
	until   time.Time // when it may be asked again
}

// left returns how long the host is still not asked.
func (s *hosts) left(host string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.peek(host).throttle; t != nil {
		return max(time.Until(t.until), 0)
	}
	return s.turn()
}

// turn returns how long it is to the first turn.
func (s *hosts) turn() time.Duration { return max(time.Until(s.fleet.First), 0) }

// refused notes a 429, with the wait that the service asked for, and returns the wait
// that the client keeps. A refusal while the host is left alone answers a request that was
// on its way, and does not count.
func (s *hosts) refused(caller, host string, asked time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked = min(asked, maxAsked)
	now := time.Now()
	h := s.of(caller, host)
	if h.throttle == nil {
		h.throttle = &throttle{}
	}
	t := h.throttle
	if now.Before(t.until) {
		t.until = later(t.until, now.Add(asked))
		return t.until.Sub(now)
	}
	t.strikes++
	if t.strikes == 1 && s.fleet.mayWait(now) {
		t.until = s.fleet.Turn(now.Add(asked))
	} else {
		t.until = s.spread(now.Add(asked), t.strikes, asked)
	}
	return t.until.Sub(now)
}

// spread returns a random time to ask again, never before the service wants it.
func (s *hosts) spread(earliest time.Time, strikes int, asked time.Duration) time.Time {
	spread := cmp.Or(asked, s.base)
	for range strikes - 1 {
		spread = min(spread*widen, maxSpread)
	}
	return earliest.Add(s.jitter(min(spread, maxSpread)))
}

// answered forgets that the host throttled. An answer while it is left alone answers a
// request that was on its way, and changes nothing.
func (s *hosts) answered(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.peek(name).throttle; t != nil && !time.Now().Before(t.until) {
		s.forget(name, func(h *host) { h.throttle = nil })
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// await waits until the host may be asked. If that is long, or after the deadline, it
// refuses at once and says when to come back.
func (c *Client) await(ctx context.Context, host string) error {
	left := c.hosts.left(host)
	if left == 0 {
		return nil
	}
	if left > c.longest() || !fits(ctx, left+margin) {
		if c.refused != nil {
			c.refused(ctx)
		}
		return c.refuse(host, 0, &failure{
			kind: refusal.Throttled, reason: c.hosts.whyNotYet(host),
			cause: errHeld, retryAfter: left,
		})
	}
	if err := c.sleep(ctx, left); err != nil {
		return c.endedError(ctx, &visit{host: host}, &failure{cause: errHeld})
	}
	return nil
}

// whyNotYet names the wait: the host's, or that for the pod's first turn.
func (s *hosts) whyNotYet(host string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peek(host).throttle != nil {
		return "is throttling requests; try again later"
	}
	return "is not asked before this pod's turn; try again later"
}

// longest returns how long a request is kept waiting. Before the first turn, which many
// pods may share, it is short: requests that began together would otherwise have
// their deadlines together, and fall back together from a host that is silent.
func (c *Client) longest() time.Duration {
	if c.hosts.turn() > 0 {
		return 2 * margin
	}
	return c.retry.MaxRetryAfter
}

// fits reports whether a wait ends before the context does.
func fits(ctx context.Context, wait time.Duration) bool {
	deadline, limited := ctx.Deadline()
	return !limited || !time.Now().Add(wait).After(deadline)
}

// publicWait returns the wait that a caller is told.
func publicWait(kind *refusal.Kind, wait time.Duration) time.Duration {
	if kind != refusal.Throttled || wait == 0 {
		return wait
	}
	return max(wait-margin, min(wait, time.Second))
}
