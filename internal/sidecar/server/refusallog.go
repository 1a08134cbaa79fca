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
	// linesAtOnce is how many refusals of one kind have a line each after a quiet time,
	// and lineEvery how long the next one takes to earn its own. A day of refusals
	// then is a megabyte of lines, which pushes nothing out of a rotated log.
	linesAtOnce = 20
	lineEvery   = time.Minute
	// firstCount is when the first count follows.
	firstCount = 10 * time.Second
	// maxKinds are counted apart; all others are one kind.
	maxKinds = 64
)

// refusalKind is what makes two refusals equal. The error is not in it, because callers
// choose its words.
type refusalKind struct {
	caller string
	code   api.Code
}

// refusals of one kind.
type refusals struct {
	lines   *rate.Limiter
	counted int    // since the last line that tells a number
	route   string // of the last
	err     string // of the last
}

// teller decides which refusals have a line of their own, and counts the rest.
type refusalLog struct {
	log *slog.Logger

	mu      sync.Mutex
	kinds   map[refusalKind]*refusals
	pending bool // a call of count is to come
}

func newRefusalLog(log *slog.Logger) *refusalLog {
	return &refusalLog{log: log, kinds: map[refusalKind]*refusals{}}
}

// logs reports whether this refusal has a line of its own.
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

// forget kinds that are quiet: they are as good as new.
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

// again counts once more later, if there was something.
func (t *refusalLog) again() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pending {
		t.pending = false
		t.schedule(lineEvery)
	}
}
