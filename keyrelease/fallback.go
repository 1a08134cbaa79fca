package keyrelease

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"skr/hsm"
	"skr/internal/refusal"
)

// comeback is how long, on average, a fallback is asked first before the first way is
// tried again. The time is random, so that the pods of a fleet do not all come back at
// once.
const comeback = 5 * time.Minute

// Fallbacks are several ways to one key, through different authorities and vaults, and
// which of them worked last. It is safe for concurrent use.
type Fallbacks struct {
	ways []Request

	mu    sync.Mutex
	works int // the way that is tried first, until that time
	until time.Time
}

// WithFallbacks returns the first way with the others as its fallbacks. ways must not be
// empty, and none of them may have fallbacks.
func WithFallbacks(ways []Request) Request {
	first := ways[0]
	if len(ways) > 1 {
		first.fallbacks = &Fallbacks{ways: slices.Clone(ways)}
	}
	return first
}

// Ways returns the request and its fallbacks, best first, each with the request's access
// token and version of the key.
func (r Request) Ways() []Request {
	if r.fallbacks == nil {
		return []Request{r}
	}
	ways := slices.Clone(r.fallbacks.ways)
	for i := range ways {
		ways[i].Access, ways[i].Key = r.Access, ways[i].Key.AtVersion(r.Key.Version())
	}
	return ways
}

// Releases releases a key by one way. [Releaser] implements it.
type Releases interface {
	Release(ctx context.Context, req Request) (*hsm.Key, error)
}

// Anywhere releases the key by the first of the request's ways that works, and returns
// that way. It tries the next way if a party is unreachable, fails, throttles or is too
// slow. A refusal is final. If no way works, the error is that of the first way tried. A
// vault that lacks the version that the request names is passed over too: the vaults of
// an alias number their versions themselves.
//
// The next request begins with the way that worked if the ways before it had an outage,
// but not if they were only too slow for this caller.
func Anywhere(ctx context.Context, releases Releases, req Request) (*hsm.Key, Request, error) {
	key, by, err := anyWay(ctx, releases, req)
	if err != nil {
		return key, by, err
	}
	if err := req.confine(key); err != nil {
		key.Wipe()
		return nil, by, err
	}
	return key, by, nil
}

func anyWay(ctx context.Context, releases Releases, req Request) (*hsm.Key, Request, error) {
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
		if err == nil || ctx.Err() != nil || !passing(err) && !req.lacksVersion(err) {
			ways[n].fallback = n
			return key, ways[n], err
		}
		failures, missing = append(failures, err), missing && isOutage(err)
	}
	return nil, ways[order[0]], failures.first()
}

// releaseInTime releases by one way. It leaves half of the time for further ways, unless
// this is the last.
func releaseInTime(ctx context.Context, releases Releases, way Request, last bool) (*hsm.Key, error) {
	if deadline, limited := ctx.Deadline(); limited && !last {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	return releases.Release(ctx, way)
}

// passing reports whether another way, or another attempt, may succeed.
func passing(err error) bool {
	refused, ok := errors.AsType[*refusal.Error](err)
	if !ok {
		return errors.Is(err, context.DeadlineExceeded)
	}
	return refused.Kind == refusal.Unavailable || refused.Kind == refusal.Throttled || refused.Kind == refusal.Timeout
}

// lacksVersion reports whether a vault does not have the version that the request names.
func (r Request) lacksVersion(err error) bool {
	return r.Key.Version() != "" && errors.Is(err, refusal.KeyNotFound)
}

// order returns the ways in the order to try them: the one that works, then the others as
// they are listed.
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

// failures are the errors of all ways, in the order in which they were tried.
type failures []error

// first returns the first error, with the shortest RetryAfter of all of them. While a vault
// could not be asked, that another one lacks the version is not the reason.
func (f failures) first() error {
	begin := max(0, slices.IndexFunc(f, func(err error) bool { return !errors.Is(err, refusal.KeyNotFound) }))
	refused, ok := errors.AsType[*refusal.Error](f[begin])
	if !ok {
		return f[begin]
	}
	first := *refused
	for _, err := range f {
		if other, ok := errors.AsType[*refusal.Error](err); ok && other.RetryAfter > 0 && (first.RetryAfter == 0 || other.RetryAfter < first.RetryAfter) {
			first.RetryAfter = other.RetryAfter
		}
	}
	return &first
}
