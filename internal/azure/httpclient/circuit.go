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

const (
	defaultFailures = 5
	defaultOpen     = time.Second
	defaultMaxOpen  = 30 * time.Second
	// maxHosts is far above the vaults and authorities of one pod. It bounds
	// what each caller can make us remember by naming hosts that do not exist.
	maxHosts = 64
)

// errOpen is the cause of a refusal that cost no packet.
var errOpen = errors.New("the circuit is open")

// Circuit is when a failing host is left alone. It opens after a number of
// requests in a row that ended unanswered; then each request is refused at
// once, for a pause. After the pause one request goes through as a probe: its
// answer closes the circuit, its failure doubles the pause. The pause is
// shortened at random to between half and all of it, so that many pods do not
// probe at the same moment.
type Circuit struct {
	// Failures in a row that open the circuit; 0 or less means 5.
	Failures int
	// Open is the first pause; 0 or less means 1 s.
	Open time.Duration
	// MaxOpen is the longest pause; 0 or less means 30 s.
	MaxOpen time.Duration
}

func (c Circuit) withDefaults() Circuit {
	open := cmp.Or(max(c.Open, 0), defaultOpen)
	return Circuit{
		Failures: cmp.Or(max(c.Failures, 0), defaultFailures),
		Open:     open,
		MaxOpen:  max(cmp.Or(max(c.MaxOpen, 0), defaultMaxOpen), open),
	}
}

// circuits are those of a client, one for each host.
type circuits struct {
	config Circuit
	jitter func(ceiling time.Duration) time.Duration

	mu      sync.Mutex
	failing *cache.Cache[string, *circuit] // hosts without an answer since they failed
}

// circuit is the state of a host whose last request failed. A host that
// answers has none.
type circuit struct {
	failures int           // in a row, while closed
	pause    time.Duration // 0 while closed
	until    time.Time     // when the pause ends
	probing  bool          // a probe is on its way
}

func (c *circuit) open() bool { return c.pause > 0 }

func newCircuits(config Circuit, jitter func(time.Duration) time.Duration) *circuits {
	s := &circuits{config: config.withDefaults(), jitter: jitter, failing: cache.New[string, *circuit](maxHosts)}
	s.failing.Before = func(a, b *circuit) bool { return !a.open() && b.open() }
	return s
}

// enter lets a request through, or says how long the host is left alone.
func (s *circuits) enter(caller, host string) (v *visit, left time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, found := s.failing.Peek(host)
	if !found || !c.open() {
		return &visit{caller: caller, host: host, began: time.Now()}, 0
	}
	_, _ = s.failing.Get(caller, host) // it is in use
	if left := time.Until(c.until); left > 0 {
		return nil, left
	}
	if c.probing {
		return nil, s.config.Open // nobody knows how long the probe takes
	}
	c.probing = true
	return &visit{caller: caller, host: host, probes: c, began: time.Now()}, 0
}

// leave ends a visit. That of a caller who cancelled shows no failure.
func (s *circuits) leave(ctx context.Context, v *visit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.probes != nil {
		v.probes.probing = false
	}
	switch {
	case v.saw == life:
		s.failing.Delete(v.host)
	case v.saw == outage && !errors.Is(ctx.Err(), context.Canceled):
		s.fail(v)
	}
}

// fail counts a failed visit. One that began before the circuit opened tells
// nothing new.
func (s *circuits) fail(v *visit) {
	c := s.of(v)
	switch {
	case c == v.probes:
		s.rest(c, min(2*c.pause, s.config.MaxOpen))
	case !c.open():
		if c.failures++; c.failures >= s.config.Failures {
			s.rest(c, s.config.Open)
		}
	}
}

// rest opens the circuit for half of the pause and some of the other half.
func (s *circuits) rest(c *circuit, pause time.Duration) {
	c.pause = pause
	c.until = time.Now().Add(pause/2 + s.jitter(pause-pause/2))
}

// of finds the circuit of the visit's host or makes one. To make room, a caller lets go
// of a closed circuit before an open one.
func (s *circuits) of(v *visit) *circuit {
	c, found := s.failing.Get(v.caller, v.host)
	if !found {
		c = &circuit{}
		s.failing.Put(v.caller, v.host, c)
	}
	return c
}

func (s *circuits) isOpen(host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, found := s.failing.Peek(host)
	return found && c.open()
}

// closedDoors counts the hosts for which a request would be refused now.
func (s *circuits) closedDoors() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.failing.All() {
		if c.open() && (c.probing || time.Until(c.until) > 0) {
			n++
		}
	}
	return n
}

// OpenCircuits counts the hosts that are not asked at the moment, for a gauge.
func (c *Client) OpenCircuits() int { return c.circuits.closedDoors() }

// sight is what the last whole attempt of a visit showed of the host.
type sight int

const (
	nothing sight = iota // no attempt came to its end
	life                 // it answers, be it with a refusal or with nonsense
	outage
)

// visit is one request to a host, with all its attempts.
type visit struct {
	caller string // on whose behalf
	host   string
	probes *circuit // the open circuit that it probes, or nil
	saw    sight
	began  time.Time
}

// see notes the end of an attempt.
func (v *visit) see(failed *failure) {
	v.saw = life
	if failed != nil && failed.kind == refusal.Unavailable && !failed.updating {
		v.saw = outage
	}
}
