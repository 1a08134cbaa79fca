package cache

import (
	"time"

	"golang.org/x/time/rate"
)

// sweepEvery bounds what a flood of new names costs.
const sweepEvery = time.Second

// Rates holds one rate limiter for each name, such as a caller's, and a bounded number of
// them:
//
//	refusals := cache.NewRates(100, 100, 1024)
//	ok := refusals.Of(peer, now).AllowN(now, 1)
//
// At the bound it forgets the limiters that are full: they are as good as new. If none is,
// all further names share one. It is not safe for concurrent use.
type Rates struct {
	limit  rate.Limit
	burst  int
	max    int
	names  map[string]*rate.Limiter // at most max
	shared *rate.Limiter            // of all other names
	swept  time.Time
}

// NewRates returns limiters for up to a number of names. A name may do limit things a second, and
// burst at once after a quiet time.
func NewRates(limit rate.Limit, burst, names int) *Rates {
	r := &Rates{limit: limit, burst: burst, max: names, names: make(map[string]*rate.Limiter)}
	r.shared = r.limiter()
	return r
}

// Of returns the limiter of a name.
func (r *Rates) Of(name string, now time.Time) *rate.Limiter {
	if known := r.names[name]; known != nil {
		return known
	}
	if fresh := r.Renew(name, now); fresh != nil {
		return fresh
	}
	return r.shared
}

// Renew gives a name a new limiter, which is full. It returns nil if there is no room for
// one.
func (r *Rates) Renew(name string, now time.Time) *rate.Limiter {
	if r.names[name] == nil && len(r.names) >= r.max && !r.sweep(now) {
		return nil
	}
	fresh := r.limiter()
	r.names[name] = fresh
	return fresh
}

// Len returns how many names have a limiter of their own.
func (r *Rates) Len() int { return len(r.names) }

// sweep reports whether there is room after forgetting the full limiters.
func (r *Rates) sweep(now time.Time) bool {
	if now.Sub(r.swept) >= sweepEvery {
		r.swept = now
		for name, limiter := range r.names {
			if limiter.TokensAt(now) >= float64(r.burst) {
				delete(r.names, name)
			}
		}
	}
	return len(r.names) < r.max
}

func (r *Rates) limiter() *rate.Limiter { return rate.NewLimiter(r.limit, r.burst) }
