package httpclient

import (
	"sync"
	"time"

	"skr/internal/cache"
)

// maxHosts is far above the vaults and authorities of one pod. It bounds what each
// caller can make the client remember by naming hosts that do not exist.
const maxHosts = 64

// hosts is what a client knows of the hosts that fail or throttle.
type hosts struct {
	config Circuit
	fleet  Fleet
	base   time.Duration
	jitter func(ceiling time.Duration) time.Duration

	mu    sync.Mutex
	known *cache.Cache[string, *host]
}

// host is the state of one that has not answered since it failed or throttled.
type host struct {
	circuit  *circuit  // nil unless the last request failed
	throttle *throttle // nil unless it throttles
}

func newHosts(config Circuit, fleet Fleet, base time.Duration, jitter func(time.Duration) time.Duration) *hosts {
	s := &hosts{config: config.withDefaults(), fleet: fleet, base: base, jitter: jitter, known: cache.New[string, *host](maxHosts)}
	s.known.Before = leavesFirst
	return s
}

// leavesFirst reports whether the client forgets a before b: first a host that may be
// asked, then the one whose wait ends first.
func leavesFirst(a, b *host) bool {
	if a.isAvoided() != b.isAvoided() {
		return b.isAvoided()
	}
	return a.waitsUntil().Before(b.waitsUntil())
}

func (h *host) isAvoided() bool {
	return h.circuit != nil && h.circuit.open() || time.Now().Before(h.waitsUntil())
}

func (h *host) waitsUntil() time.Time {
	if h.throttle == nil {
		return time.Time{}
	}
	return h.throttle.until
}

// peek returns the host's state, and the zero one if there is none. mu is held.
func (s *hosts) peek(name string) host {
	if h, found := s.known.Peek(name); found {
		return *h
	}
	return host{}
}

// of returns the host's state for a change. mu is held.
func (s *hosts) of(caller, name string) *host {
	h, found := s.known.Get(caller, name)
	if !found {
		h = &host{}
		s.known.Put(caller, name, h)
	}
	return h
}

// forget drops a part of the host's state, and all of it if nothing else is left. mu is
// held.
func (s *hosts) forget(name string, part func(*host)) {
	h, found := s.known.Peek(name)
	if !found {
		return
	}
	if part(h); *h == (host{}) {
		s.known.Delete(name)
	}
}
