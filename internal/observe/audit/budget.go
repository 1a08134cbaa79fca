package audit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"skr/internal/cache"
)

const (
	// refusalsOnce is how many refusals of one caller have a record each after a quiet
	// time, and refusalEvery how long the next one takes to earn its own. A day of
	// refusals then is a megabyte, which pushes no release out of a rotated log.
	refusalsOnce = 100
	refusalEvery = time.Minute
	// countEvery is how often a record says how many there were beyond that.
	countEvery = time.Minute
	// maxBudgets are kept apart; all other callers share one.
	maxBudgets = 64
)

// budgets of the callers for refusals. Releases need none: each has its record.
type budgets struct {
	mu      sync.Mutex
	callers *cache.Rates
	pending int    // refusals without a record, since the last record that counts them
	total   uint64 // of all time
}

// spend reports whether the refusal may have a record. begun reports whether it is the
// first without one that no record has counted yet.
func (b *budgets) spend(caller string, now time.Time) (ok, begun bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.callers == nil {
		b.callers = cache.NewRates(rate.Every(refusalEvery), refusalsOnce, maxBudgets)
	}
	if b.callers.Of(caller, now).AllowN(now, 1) {
		return true, false
	}
	b.pending++
	b.total++
	return false, b.pending == 1
}

// drain returns how many refusals a record must count now.
func (b *budgets) drain() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	pending := b.pending
	b.pending = 0
	return pending
}

// putBack what could not be recorded.
func (b *budgets) putBack(pending int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending += pending
}

// Withheld returns how many refusals have no record of their own.
func (l *Log) Withheld() uint64 {
	l.refusals.mu.Lock()
	defer l.refusals.mu.Unlock()
	return l.refusals.total
}

// countLater writes the record that counts refusals, when more may have come.
func (l *Log) countLater() {
	l.later = time.AfterFunc(countEvery, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.count()
	})
}

// count writes the record. An error is that of Err; the number is not lost.
func (l *Log) count() {
	pending := l.refusals.drain()
	if pending == 0 || l.closed {
		return
	}
	if l.failed = l.append(Record{Kind: kindWithheld, Withheld: &Withheld{pending}}); l.failed != nil {
		l.refusals.putBack(pending)
		l.countLater()
	}
}
