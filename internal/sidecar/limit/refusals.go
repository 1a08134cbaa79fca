package limit

import (
	"context"
	"sync"
	"time"

	"skr/internal/cache"
)

const (
	// refusalRate is how many refusals a second one peer gets without delay, and how many
	// after a quiet time. A caller that is wrong by mistake asks a few times.
	refusalRate = 100
	// refusalDelay is the longest delay of a refusal. It is below what a caller waits
	// for an answer, and holds a peer to its open connections each two seconds.
	refusalDelay = 2 * time.Second
	// maxWaiting is how many refusals wait at once, at about 16 KiB each with the header.
	maxWaiting = 512
	// maxPeers is how many are remembered, at about 100 bytes each.
	maxPeers = 1024
)

// Refusals delays refusals to a peer that earns more of them than it should. A refusal
// costs its caller nothing and skr a parsed header, an answer and a line of log; one
// that comes late costs the caller its connection for that time. Only refusals are
// delayed: on the loopback interface a peer may be many processes, and the refusals of
// one must not keep another from its key. The zero value is ready to use.
type Refusals struct {
	mu      sync.Mutex
	peers   *cache.Rates
	waiting int
}

// delay returns how long the refusal should wait, and counts it.
func (r *Refusals) delay(peer string) time.Duration {
	now := time.Now()
	if r.peers == nil {
		r.peers = cache.NewRates(refusalRate, refusalRate, maxPeers)
	}
	turn := r.peers.Of(peer, now).ReserveN(now, 1)
	if delay := turn.DelayFrom(now); delay <= refusalDelay {
		return delay
	}
	turn.CancelAt(now) // a peer never owes more than it can wait for
	return refusalDelay
}

// Wait delays a refusal, until ctx ends at the latest. It reports whether to answer:
// where too many refusals wait, the next one is not worth an answer.
func (r *Refusals) Wait(ctx context.Context, peer string) (answer bool) {
	delay, ok := r.begin(peer)
	if !ok || delay == 0 {
		return ok
	}
	defer r.end()
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return true
}

func (r *Refusals) begin(peer string) (delay time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delay = r.delay(peer)
	switch {
	case delay == 0:
		return 0, true
	case r.waiting >= maxWaiting:
		return 0, false
	}
	r.waiting++
	return delay, true
}

func (r *Refusals) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting--
}
