package httpclient

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"skr/internal/refusal"
)

const (
	defaultFailures = 5
	defaultOpen     = time.Second
	defaultMaxOpen  = 30 * time.Second
	// maxHosts is far above the vaults and authorities of one pod. It bounds
	// what a caller can make us remember by naming hosts that do not exist.
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
	failing map[string]*circuit // hosts without an answer since they failed; at most maxHosts
	clock   uint64              // counts uses
}

// circuit is the state of a host whose last request failed. A host that
// answers has none.
type circuit struct {
	failures int           // in a row, while closed
	pause    time.Duration // 0 while closed
	until    time.Time     // when the pause ends
	probing  bool          // a probe is on its way
	used     uint64        // when it was asked for last, by circuits.clock
}

func (c *circuit) open() bool { return c.pause > 0 }

func newCircuits(config Circuit, jitter func(time.Duration) time.Duration) *circuits {
	return &circuits{config: config.withDefaults(), jitter: jitter, failing: map[string]*circuit{}}
}

// enter lets a request through, or says how long the host is left alone.
func (s *circuits) enter(host string) (v *visit, left time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.failing[host]
	if c == nil || !c.open() {
		return &visit{host: host}, 0
	}
	s.use(c)
	if left := time.Until(c.until); left > 0 {
		return nil, left
	}
	if c.probing {
		return nil, s.config.Open // nobody knows how long the probe takes
	}
	c.probing = true
	return &visit{host: host, probes: c}, 0
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
		delete(s.failing, v.host)
	case v.saw == outage && !errors.Is(ctx.Err(), context.Canceled):
		s.fail(v)
	}
}

// fail counts a failed visit. One that began before the circuit opened tells
// nothing new.
func (s *circuits) fail(v *visit) {
	c := s.of(v.host)
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

// of finds the host's circuit or makes one.
func (s *circuits) of(host string) *circuit {
	c := s.failing[host]
	if c == nil {
		if len(s.failing) >= maxHosts {
			s.forget()
		}
		c = &circuit{}
		s.failing[host] = c
	}
	s.use(c)
	return c
}

func (s *circuits) use(c *circuit) {
	s.clock++
	c.used = s.clock
}

// forget makes room: a closed circuit before an open one, and of those the one
// that was not used for longest.
func (s *circuits) forget() {
	var name string
	var least *circuit
	for host, c := range s.failing {
		if least == nil || c.lessThan(least) {
			name, least = host, c
		}
	}
	delete(s.failing, name)
}

func (c *circuit) lessThan(other *circuit) bool {
	if c.open() != other.open() {
		return other.open()
	}
	return c.used < other.used
}

func (s *circuits) isOpen(host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.failing[host]
	return c != nil && c.open()
}

// closedDoors counts the hosts for which a request would be refused now.
func (s *circuits) closedDoors() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.failing {
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
	host   string
	probes *circuit // the open circuit that it probes, or nil
	saw    sight
}

// see notes the end of an attempt.
func (v *visit) see(failed *failure) {
	v.saw = life
	if failed != nil && failed.kind == refusal.Unavailable {
		v.saw = outage
	}
}
