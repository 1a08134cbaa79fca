package agent

import (
	"sync"
	"time"
)

// refusalPause is between two lines about refused commands, however many there are.
const refusalPause = 10 * time.Second

// tally counts what is too frequent to be told one by one.
type tally struct {
	now func() time.Time

	mu    sync.Mutex
	count int       // since it was last told
	told  time.Time // zero if never
}

// add returns how many there were since the last time it did, or 0 if that was a moment ago.
func (t *tally) add() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count++
	now := t.now()
	if !t.told.IsZero() && now.Sub(t.told) < refusalPause {
		return 0
	}
	count := t.count
	t.count, t.told = 0, now
	return count
}
