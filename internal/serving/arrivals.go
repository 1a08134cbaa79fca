package serving

import (
	"strings"
	"sync"
	"time"
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
	users map[string]*tokens
}

type tokens struct {
	left float64
	at   time.Time
}

// may reports whether one more connection of peer is in time, and counts it.
func (a *arrivals) may(peer string) bool {
	if !strings.HasPrefix(peer, userPrefix) {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.of(peer)
	if t.left < 1 {
		return false
	}
	t.left--
	return true
}

func (a *arrivals) of(peer string) *tokens {
	now := time.Now()
	t := a.users[peer]
	if t == nil {
		if a.users == nil || len(a.users) >= maxUsers {
			a.users = map[string]*tokens{}
		}
		t = &tokens{arrivalRate, now}
		a.users[peer] = t
	}
	t.left, t.at = min(t.left+now.Sub(t.at).Seconds()*arrivalRate, arrivalRate), now
	return t
}

// punish peer with a second without connections.
func (a *arrivals) punish(peer string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of(peer).left = -arrivalRate
}
