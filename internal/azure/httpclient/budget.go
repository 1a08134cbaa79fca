package httpclient

import (
	"sync"
	"time"
)

const (
	// refund is what an answered request gives back: when half of all requests
	// need one retry, the budget holds; above that it runs dry.
	refund = 0.5
	// refill comes back each second by itself, so that a client which has only
	// failed for a while may try again twice soon after.
	refill = 0.5
)

// budget bounds the retries of a client. Without it, four attempts a request
// would make four times the load for a service that fails because of its load.
type budget struct {
	capacity float64

	mu   sync.Mutex
	left float64   // retries, as of at; at most capacity
	at   time.Time // refill is added up to here
}

func newBudget(retries int) *budget {
	return &budget{capacity: float64(retries), left: float64(retries), at: time.Now()}
}

// spend reports whether there may be one more retry, and counts it.
func (b *budget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.left = min(b.left+refill*now.Sub(b.at).Seconds(), b.capacity)
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// spared gives back a retry that was not made: that a caller left costs the others
// none.
func (b *budget) spared() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = min(b.left+1, b.capacity)
}

// answered gives back a part of a retry.
func (b *budget) answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = min(b.left+refund, b.capacity)
}
