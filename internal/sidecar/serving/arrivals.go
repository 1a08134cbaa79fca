package serving

import (
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// arrivalRate is how many connections a second one user may open, and how many
	// after a quiet time. Each costs a descriptor, a goroutine and a buffer, also one
	// that ends at once.
	arrivalRate = 2000
	// maxUsers are remembered, at about 100 bytes each.
	maxUsers = 1024
)

// arrivals of the users of unix sockets. An address has no such limit: the loopback
// interface is one for all processes, and one of them could keep the others out.
type arrivals struct {
	mu    sync.Mutex
	users map[string]*rate.Limiter
}

// may reports whether one more connection of peer is in time, and counts it.
func (a *arrivals) may(peer string) bool {
	if !strings.HasPrefix(peer, userPrefix) {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.users[peer]
	if known == nil {
		known = a.add(peer)
	}
	return known.Allow()
}

// add peer as one who was quiet.
func (a *arrivals) add(peer string) *rate.Limiter {
	if a.users == nil || len(a.users) >= maxUsers {
		a.users = map[string]*rate.Limiter{}
	}
	a.users[peer] = rate.NewLimiter(arrivalRate, arrivalRate)
	return a.users[peer]
}

// punish peer with a second without connections.
func (a *arrivals) punish(peer string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fresh, now := a.add(peer), time.Now()
	fresh.ReserveN(now, arrivalRate) // all that it had
	fresh.ReserveN(now, arrivalRate) // and the next second's
}
