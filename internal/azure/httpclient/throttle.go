package httpclient

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"skr/internal/cache"
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

// throttles are the hosts that are left alone because they throttle. Unlike a
// circuit this does not judge a host to be ill: it says when our next request
// suits it. All requests of the client wait for the same moment, so that a host
// which throttles is not asked by one request while another waits.
type throttles struct {
	fleet  Fleet
	base   time.Duration
	jitter func(ceiling time.Duration) time.Duration

	mu    sync.Mutex
	hosts *cache.Cache[string, *throttle]
}

// throttle is the state of a host that has not answered since it throttled.
type throttle struct {
	strikes int       // refusals in a row
	until   time.Time // when it may be asked again
}

func newThrottles(fleet Fleet, base time.Duration, jitter func(time.Duration) time.Duration) *throttles {
	s := &throttles{fleet: fleet, base: base, jitter: jitter, hosts: cache.New[string, *throttle](maxHosts)}
	s.hosts.Before = func(a, b *throttle) bool { return a.until.Before(b.until) }
	return s
}

// left is how long the host is still to be left alone.
func (s *throttles) left(host string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, found := s.hosts.Peek(host); found {
		return max(time.Until(t.until), 0)
	}
	return s.turn()
}

// turn is how long it is to the first turn.
func (s *throttles) turn() time.Duration { return max(time.Until(s.fleet.First), 0) }

// refused notes a 429, with the wait that the service asked for, and returns the
// one that is kept. A refusal while the host is left alone is that of a request
// which was on its way, and tells nothing new.
func (s *throttles) refused(caller, host string, asked time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked = min(asked, maxAsked)
	now := time.Now()
	t := s.of(caller, host)
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

// spread is a random time to ask again, never before the service wants it.
func (s *throttles) spread(earliest time.Time, strikes int, asked time.Duration) time.Time {
	spread := cmp.Or(asked, s.base)
	for range strikes - 1 {
		spread = min(spread*widen, maxSpread)
	}
	return earliest.Add(s.jitter(min(spread, maxSpread)))
}

// answered forgets that the host throttled. An answer while it is left alone is
// to a request that was on its way.
func (s *throttles) answered(host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, found := s.hosts.Peek(host); found && !time.Now().Before(t.until) {
		s.hosts.Delete(host)
	}
}

// of finds the host's state or makes one. To make room, a caller lets go of the one
// whose wait ends first.
func (s *throttles) of(caller, host string) *throttle {
	t, found := s.hosts.Get(caller, host)
	if !found {
		t = &throttle{}
		s.hosts.Put(caller, host, t)
	}
	return t
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// await waits until the host may be asked. Where that is long, or the deadline is
// before it, it refuses at once and says when to come back.
func (c *Client) await(ctx context.Context, host string) error {
	left := c.throttles.left(host)
	if left == 0 {
		return nil
	}
	if left > c.longest() || !fits(ctx, left+margin) {
		if c.refused != nil {
			c.refused(ctx)
		}
		return c.refuse(host, 0, &failure{
			kind: refusal.Throttled, reason: "is not asked yet, as it throttles or as it is not our turn; try again later",
			cause: errHeld, retryAfter: left,
		})
	}
	if err := c.sleep(ctx, left); err != nil {
		return c.endedError(ctx, &visit{host: host}, &failure{cause: errHeld})
	}
	return nil
}

// longest is how long a request is kept waiting. For the first turn, which may be
// that of many, it is short: requests that began together would otherwise have
// their deadlines together, and fall back together from a host that is silent.
func (c *Client) longest() time.Duration {
	if c.throttles.turn() > 0 {
		return 2 * margin
	}
	return c.retry.MaxRetryAfter
}

// fits says whether a wait ends before the context does.
func fits(ctx context.Context, wait time.Duration) bool {
	deadline, limited := ctx.Deadline()
	return !limited || !time.Now().Add(wait).After(deadline)
}

// told is the wait as a caller hears it.
func told(kind *refusal.Kind, wait time.Duration) time.Duration {
	if kind != refusal.Throttled || wait == 0 {
		return wait
	}
	return max(wait-margin, min(wait, time.Second))
}
