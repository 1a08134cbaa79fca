package audit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"skr/internal/cache"
)

const (
	// refusalsOnce is the number of refusals of one caller that have a record each, and
	// refusalEvery the time until one more may have a record. A day of refusals is then a
	// megabyte, which leaves room for releases in a rotated log.
	refusalsOnce = 100
	refusalEvery = time.Minute
	// countEvery is the interval of records that count the other refusals.
	countEvery = time.Minute
	// maxBudgets is the number of callers with a budget of their own; others share one.
	maxBudgets = 64
)

// budgets limits the records of refusals by caller. Every release has a record.
type budgets struct {
	mu      sync.Mutex
	callers *cache.Rates
	pending int    // refusals without a record, since the last record that counts them
	total   uint64 // since the start
}

// spend reports whether the refusal may have a record. begun reports whether it is the first without a
// record since the last record that counts them.
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

// drain returns the number of refusals to count in a record, and resets it.
func (b *budgets) drain() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	pending := b.pending
	b.pending = 0
	return pending
}

// putBack adds refusals whose record could not be written.
func (b *budgets) putBack(pending int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending += pending
}

// Withheld returns the number of refusals without a record of their own.
func (l *Log) Withheld() uint64 {
	l.refusals.mu.Lock()
	defer l.refusals.mu.Unlock()
	return l.refusals.total
}

// countLater writes the record that counts refusals after countEvery.
func (l *Log) countLater() {
	l.later = time.AfterFunc(countEvery, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.count()
	})
}

// count writes the record that counts refusals. After an error, which Err returns, it tries again.
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
