package serving

import (
	"strings"
	"sync"
	"time"

	"skr/internal/cache"
)

const (
	// arrivalRate is how many connections a second one user may open, and how many
	// after a quiet time. Each costs a descriptor, a goroutine and a buffer, also one
	// that ends at once.
	arrivalRate = 2000
	// maxUsers are remembered, at about 100 bytes each.
	maxUsers = 1024
)

// arrivals limits the users of unix sockets. An address has no such limit: the loopback
// interface is one for all processes, and one of them could keep the others out.
type arrivals struct {
	mu    sync.Mutex
	users *cache.Rates
}

func newArrivals() *arrivals {
	return &arrivals{users: cache.NewRates(arrivalRate, arrivalRate, maxUsers)}
}

// admit reports whether one more connection of peer is in time, and counts it.
func (a *arrivals) admit(peer string) bool {
	if !strings.HasPrefix(peer, userPrefix) {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	return a.users.Of(peer, now).AllowN(now, 1)
}

// punish keeps peer from connecting for a second. It spares users that share a limiter.
func (a *arrivals) punish(peer string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if fresh := a.users.Renew(peer, now); fresh != nil {
		fresh.ReserveN(now, arrivalRate) // all that it had
		fresh.ReserveN(now, arrivalRate) // and the next second's
	}
}
