package httpclient

import (
	"cmp"
	"context"
	"errors"
	"time"

	"skr/internal/refusal"
)

const (
	defaultFailures = 5
	defaultOpen     = time.Second
	defaultMaxOpen  = 30 * time.Second
)

// errOpen is the cause of a refusal that cost no packet.
var errOpen = errors.New("the circuit is open")

// Circuit sets when the client stops asking a failing host. The circuit opens after a
// number of requests in a row without an answer. Then each request is refused at once,
// for a pause. After the pause one request goes through as a probe: its answer closes the
// circuit, its failure doubles the pause. The pause is shortened at random to between half
// and all of it, so that many pods do not probe at the same moment.
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

// circuit is the state of a host whose last request failed.
type circuit struct {
	failures int           // in a row, while closed
	pause    time.Duration // 0 while closed
	until    time.Time     // when the pause ends
	probing  bool          // a probe is on its way
}

func (c *circuit) open() bool { return c.pause > 0 }

// enter lets a request through, or returns how long the host is not asked.
func (s *hosts) enter(caller, host string) (v *visit, left time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.peek(host).circuit
	if c == nil || !c.open() {
		return &visit{caller: caller, host: host, began: time.Now()}, 0
	}
	_, _ = s.known.Get(caller, host) // it is in use
	if left := time.Until(c.until); left > 0 {
		return nil, left
	}
	if c.probing {
		return nil, s.config.Open // how long the probe takes is unknown
	}
	c.probing = true
	return &visit{caller: caller, host: host, probes: c, began: time.Now()}, 0
}

// leave ends a visit. A visit that its caller cancelled shows no failure.
func (s *hosts) leave(ctx context.Context, v *visit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.probes != nil {
		v.probes.probing = false
	}
	switch {
	case v.saw == life:
		s.forget(v.host, func(h *host) { h.circuit = nil })
	case v.saw == outage && !errors.Is(ctx.Err(), context.Canceled):
		s.fail(v)
	}
}

// fail counts a failed visit. One that began before the circuit opened does not count.
func (s *hosts) fail(v *visit) {
	h := s.of(v.caller, v.host)
	if h.circuit == nil {
		h.circuit = &circuit{}
	}
	switch c := h.circuit; {
	case c == v.probes:
		s.rest(c, min(2*c.pause, s.config.MaxOpen))
	case !c.open():
		if c.failures++; c.failures >= s.config.Failures {
			s.rest(c, s.config.Open)
		}
	}
}

// rest opens the circuit for half of the pause and some of the other half.
func (s *hosts) rest(c *circuit, pause time.Duration) {
	c.pause = pause
	c.until = time.Now().Add(pause/2 + s.jitter(pause-pause/2))
}

func (s *hosts) isOpen(host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.peek(host).circuit
	return c != nil && c.open()
}

// countClosed returns for how many hosts a request would be refused now.
func (s *hosts) countClosed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, h := range s.known.All() {
		if c := h.circuit; c != nil && c.open() && (c.probing || time.Until(c.until) > 0) {
			n++
		}
	}
	return n
}

// OpenCircuits returns how many hosts are not asked at the moment, for a gauge.
func (c *Client) OpenCircuits() int { return c.hosts.countClosed() }

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

// note records the end of an attempt.
func (v *visit) note(failed *failure) {
	v.saw = life
	if failed != nil && failed.kind == refusal.Unavailable && !failed.updating {
		v.saw = outage
	}
}
