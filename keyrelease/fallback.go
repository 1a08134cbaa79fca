package keyrelease

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"skr/hsm"
	"skr/internal/observe/journal"
	"skr/internal/refusal"
)

// comeback is how long, on average, a fall-back is asked first before the first
// way is tried again. It is drawn anew each time, so that the pods of a fleet do
// not come back all at once.
const comeback = 5 * time.Minute

// Fallbacks are several ways to one key, by other authorities and from other
// vaults, and which of them worked last. It is safe for concurrent use.
type Fallbacks struct {
	ways []Request

	mu    sync.Mutex
	works int       // the way that is tried first
	until time.Time // then the first way is, again
}

// WithFallbacks is the first of the ways, which holds the others. There must be
// one, and none may have fall-backs of its own.
func WithFallbacks(ways []Request) Request {
	first := ways[0]
	if len(ways) > 1 {
		first.fallbacks = &Fallbacks{ways: slices.Clone(ways)}
	}
	return first
}

// Ways are the request and its fall-backs, best first, each with the request's
// access token.
func (r Request) Ways() []Request {
	if r.fallbacks == nil {
		return []Request{r}
	}
	ways := slices.Clone(r.fallbacks.ways)
	for i := range ways {
		ways[i].Access = r.Access
	}
	return ways
}

// Leads says whether one of the request's ways is other.
func (r Request) Leads(other Request) bool {
	return slices.ContainsFunc(r.Ways(), func(way Request) bool { return way.Authority == other.Authority && way.Key == other.Key })
}

// Releases is what releases by one way: a [Releaser].
type Releases interface {
	Release(ctx context.Context, req Request) (*hsm.Key, error)
}

// Anywhere releases by the first of the request's ways that works, and says by
// which. It goes on to the next where somebody is unreachable, failing,
// throttling or too slow. A refusal is an answer, and final: nobody is asked for
// a second opinion. If no way works the error is that of the first that was tried.
//
// The next caller begins with the way that worked if those before it were missing, and
// not if they were only too slow for this caller.
func Anywhere(ctx context.Context, releases Releases, req Request) (*hsm.Key, Request, error) {
	if req.fallbacks == nil {
		key, err := releases.Release(ctx, req)
		return key, req, err
	}
	ways, failures, missing := req.Ways(), failures{}, true
	order := req.fallbacks.order()
	for i, n := range order {
		key, err := releaseInTime(ctx, releases, ways[n], i == len(order)-1)
		if err == nil && missing {
			req.fallbacks.remember(n)
		}
		if err == nil || ctx.Err() != nil || !passing(err) {
			journal.FellBack(ctx, n)
			return key, ways[n], err
		}
		failures, missing = append(failures, err), missing && isOutage(err)
	}
	return nil, ways[order[0]], failures.first()
}

// releaseInTime leaves half of the time for further ways, unless there are none.
func releaseInTime(ctx context.Context, releases Releases, way Request, last bool) (*hsm.Key, error) {
	if deadline, limited := ctx.Deadline(); limited && !last {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	return releases.Release(ctx, way)
}

// passing says whether an error may be of this way alone, or of this moment.
func passing(err error) bool {
	refused, ok := errors.AsType[*refusal.Error](err)
	if !ok {
		return errors.Is(err, context.DeadlineExceeded)
	}
	return refused.Kind == refusal.Unavailable || refused.Kind == refusal.Throttled || refused.Kind == refusal.Timeout
}

// order of the ways: the one that works, then the others as they are listed.
func (f *Fallbacks) order() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.works > 0 && !time.Now().Before(f.until) {
		f.works = 0
	}
	order := []int{f.works}
	for n := range f.ways {
		if n != f.works {
			order = append(order, n)
		}
	}
	return order
}

func (f *Fallbacks) remember(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n != f.works {
		f.works, f.until = n, time.Now().Add(comeback/2+rand.N(comeback)) //nolint:gosec // spreads load and guards nothing
	}
}

// failures of all ways, in the order in which they were tried.
type failures []error

// first tells to come back when the soonest of them may work.
func (f failures) first() error {
	refused, ok := errors.AsType[*refusal.Error](f[0])
	if !ok {
		return f[0]
	}
	told := *refused
	for _, err := range f[1:] {
		if other, ok := errors.AsType[*refusal.Error](err); ok && other.RetryAfter > 0 && (told.RetryAfter == 0 || other.RetryAfter < told.RetryAfter) {
			told.RetryAfter = other.RetryAfter
		}
	}
	return &told
}
