package server

import (
	"sync"
	"time"

	"skr/internal/refusal"
)

// MaxWatchers is how many requests wait for another version of a key, if nothing else is said.
const MaxWatchers = 64

// watchers bounds the requests that wait. One caller has at most as many as are free, so that
// there is always room for the next.
type watchers struct {
	max int

	mu      sync.Mutex
	waiting int
	callers map[string]int // those that wait, never 0
}

func newWatchers(most int) *watchers { return &watchers{max: most, callers: map[string]int{}} }

// enter returns a refusal if the caller has its share.
func (w *watchers) enter(caller string) (leave func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.callers[caller] >= w.max-w.waiting {
		return nil, &refusal.Error{
			Kind: refusal.Throttled, Reason: "too many requests of this caller wait for a version; use one for each alias", RetryAfter: time.Second,
		}
	}
	w.waiting++
	w.callers[caller]++
	return sync.OnceFunc(func() { w.leave(caller) }), nil
}

func (w *watchers) leave(caller string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting--
	if w.callers[caller]--; w.callers[caller] == 0 {
		delete(w.callers, caller)
	}
}

func (w *watchers) load() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waiting
}
