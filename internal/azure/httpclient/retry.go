package httpclient

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"skr/internal/refusal"
)

// Retry is when to ask again: after a transport error, but for a name that does
// not exist, and after the statuses 408, 429, 500, 502, 503 and 504. The wait before attempt n+1 is random
// between zero and min(Cap, Base·2ⁿ⁻¹), "full jitter", unless the service says
// how long. After 429 all requests to the host wait: see [Fleet].
type Retry struct {
	// Attempts in all, the first included.
	Attempts int
	// Base is the longest wait before the second attempt.
	Base time.Duration
	// Cap is the longest wait that we choose.
	Cap time.Duration
	// MaxRetryAfter is the longest wait that a service may ask for, and that a
	// request is kept waiting while one throttles. Above that there is no further
	// attempt: an earlier one would be refused.
	MaxRetryAfter time.Duration
	// Budget is how many retries all requests of the client may make in a
	// burst. An answered request gives back half a retry, and so does each
	// second. Where none is left, the last attempt decides.
	Budget int
	// Also are further statuses after which this service is asked again; nil means
	// none. They are no answers then, and say nothing of its circuit: it lives.
	Also []int
	// Patience is how long a request goes on after a status of Also, whatever Attempts
	// and Budget say, as updates of a service end; 0 leaves it to Attempts and Budget.
	Patience time.Duration
}

// DefaultRetry suits a caller who waits for the answer.
func DefaultRetry() Retry {
	return Retry{Attempts: 4, Base: 500 * time.Millisecond, Cap: 8 * time.Second, MaxRetryAfter: 30 * time.Second, Budget: 20}
}

func (r Retry) withDefaults() Retry {
	d := DefaultRetry()
	return Retry{
		Attempts:      cmp.Or(r.Attempts, d.Attempts),
		Base:          cmp.Or(r.Base, d.Base),
		Cap:           cmp.Or(r.Cap, d.Cap),
		MaxRetryAfter: cmp.Or(r.MaxRetryAfter, d.MaxRetryAfter),
		Budget:        cmp.Or(r.Budget, d.Budget),
		Also:          r.Also,
		Patience:      r.Patience,
	}
}

// ceiling is the longest wait after the given number of attempts.
func (r Retry) ceiling(tries int) time.Duration {
	ceiling := r.Base
	for range tries - 1 {
		if ceiling >= r.Cap {
			break
		}
		ceiling *= 2
	}
	return min(ceiling, r.Cap)
}

// attemptTime is what an attempt needs: one that begins later would report the deadline, and
// not why the service failed.
const attemptTime = 250 * time.Millisecond

// nextWait says how long to wait before another attempt, and whether there is
// to be one at all: a wait that would leave no time for the attempt is not begun.
func (c *Client) nextWait(ctx context.Context, visit *visit, tries int, failed *failure) (time.Duration, bool) {
	worthwhile := c.worthwhile(visit, tries, failed)
	if failed.kind == refusal.Throttled {
		failed.retryAfter = c.hosts.refused(visit.caller, visit.host, failed.retryAfter)
		return failed.retryAfter, worthwhile && failed.retryAfter <= c.longest() && fits(ctx, failed.retryAfter+margin) && c.budget.spend()
	}
	wait := failed.retryAfter
	if wait == 0 {
		wait = c.jitter(c.retry.ceiling(tries))
	}
	return wait, worthwhile && fits(ctx, wait+attemptTime) && (c.isPatient(visit, failed, wait) || tries < c.retry.Attempts && c.budget.spend())
}

// isPatient reports whether the failure is an update, and the next attempt is within the
// patience for one.
func (c *Client) isPatient(visit *visit, failed *failure, wait time.Duration) bool {
	return failed.updating && time.Since(visit.began)+wait <= c.retry.Patience
}

// worthwhile reports whether the policy wants another attempt. A probe has one.
func (c *Client) worthwhile(visit *visit, tries int, failed *failure) bool {
	return failed.retriable && (tries < c.retry.Attempts || c.isPatient(visit, failed, 0)) && failed.retryAfter <= c.retry.MaxRetryAfter &&
		visit.probes == nil && !c.hosts.isOpen(visit.host)
}

func retriedStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// longestWait keeps absurd requests inside a time.Duration.
const longestWait = 365 * 24 * time.Hour

// retryAfter reads how long the service asks us to wait: milliseconds in the
// headers that Azure SDKs honour, then Retry-After as seconds or an HTTP date
// (RFC 9110 section 10.2.3). Zero means that it does not say.
func retryAfter(h http.Header, now time.Time) time.Duration {
	for _, name := range []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
		if wait, ok := parseDelay(h.Get(name), time.Millisecond); ok {
			return wait
		}
	}
	text := h.Get("Retry-After")
	if wait, ok := parseDelay(text, time.Second); ok {
		return wait
	}
	if date, err := http.ParseTime(text); err == nil {
		return min(max(date.Sub(now), 0), longestWait)
	}
	return 0
}

func parseDelay(text string, unit time.Duration) (time.Duration, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	return time.Duration(min(n, int64(longestWait/unit)) * int64(unit)), true
}

func fullJitter(ceiling time.Duration) time.Duration {
	return rand.N(ceiling + 1) //nolint:gosec // spreads load and guards nothing
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
