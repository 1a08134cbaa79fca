package server

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"skr/api"
)

const (
	// linesAtOnce is how many refusals of one kind get a line each after a quiet time, and
	// lineEvery is how often another one does. A day of refusals is then a megabyte of
	// lines, which does not displace other lines in a rotated log.
	linesAtOnce = 20
	lineEvery   = time.Minute
	// firstCount is the wait before the first count.
	firstCount = 10 * time.Second
	// maxKinds is how many kinds are counted separately. All others are one kind.
	maxKinds = 64
)

// refusalKind identifies equal refusals. It does not have the error, because callers
// influence its text.
type refusalKind struct {
	caller string
	code   api.Code
}

// refusals counts the refusals of one kind.
type refusals struct {
	lines   *rate.Limiter
	counted int    // since the last line with a count
	route   string // of the last
	err     string // of the last
}

// refusalLog decides which refusals get a line of their own, and counts the rest.
type refusalLog struct {
	log *slog.Logger

	mu      sync.Mutex
	kinds   map[refusalKind]*refusals
	pending bool // a call of count is scheduled
}

func newRefusalLog(log *slog.Logger) *refusalLog {
	return &refusalLog{log: log, kinds: map[refusalKind]*refusals{}}
}

// logs reports whether this refusal gets a line of its own.
func (t *refusalLog) logs(caller string, code api.Code, route string, err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.kind(refusalKind{caller, code})
	if r.lines.Allow() {
		return true
	}
	r.counted++
	r.route, r.err = route, shorten(err.Error())
	t.schedule(firstCount)
	return false
}

func (t *refusalLog) kind(kind refusalKind) *refusals {
	if r := t.kinds[kind]; r != nil {
		return r
	}
	if len(t.kinds) >= maxKinds {
		t.forget()
	}
	if len(t.kinds) >= maxKinds {
		kind = refusalKind{caller: "others"}
	}
	if t.kinds[kind] == nil {
		t.kinds[kind] = &refusals{lines: rate.NewLimiter(rate.Every(lineEvery), linesAtOnce)}
	}
	return t.kinds[kind]
}

// forget removes kinds without recent refusals: their state is that of new ones.
func (t *refusalLog) forget() {
	for kind, r := range t.kinds {
		if r.counted == 0 && r.lines.Tokens() >= linesAtOnce {
			delete(t.kinds, kind)
		}
	}
}

func (t *refusalLog) schedule(after time.Duration) {
	if !t.pending {
		t.pending = true
		time.AfterFunc(after, func() { t.count(); t.again() })
	}
}

// count writes a line for each kind that has refusals without one.
func (t *refusalLog) count() {
	t.mu.Lock()
	defer t.mu.Unlock()
	var kinds []refusalKind
	for kind, r := range t.kinds {
		if r.counted > 0 {
			kinds = append(kinds, kind)
		}
	}
	slices.SortFunc(kinds, func(a, b refusalKind) int {
		return cmp.Or(cmp.Compare(a.caller, b.caller), cmp.Compare(a.code, b.code))
	})
	for _, kind := range kinds {
		r := t.kinds[kind]
		t.log.LogAttrs(context.Background(), slog.LevelWarn, "refusals", slog.String("caller", kind.caller), slog.String("code", string(kind.code)),
			slog.Int("count", r.counted), slog.String("last_route", r.route), slog.String("last_error", r.err))
		r.counted = 0
	}
	t.pending = len(kinds) > 0
}

// again schedules another count if this one had refusals.
func (t *refusalLog) again() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pending {
		t.pending = false
		t.schedule(lineEvery)
	}
}
