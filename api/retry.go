package api

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

const (
	firstBackOff = 100 * time.Millisecond
	firstLook    = 10 * time.Millisecond // skr is ready about ten milliseconds after its start
	maxBackOff   = 2 * time.Second
)

// nextWait reports whether to retry after err, and when. Two failures are transient:
// skr does not listen yet, or its answer has a Retry-After. In both cases skr has done
// nothing, so that a retry is safe.
func (c *Client) nextWait(try int, err error) (time.Duration, bool) {
	if try >= c.attempts {
		return 0, false
	}
	if notListening(err) {
		return doubled(firstBackOff, try), true
	}
	refused, ok := errors.AsType[*Error](err)
	if !ok || refused.Status != http.StatusServiceUnavailable || refused.RetryAfter == 0 {
		return 0, false
	}
	return refused.RetryAfter, refused.RetryAfter <= c.maxRetryAfter
}

// notListening reports whether the port is closed or the socket does not exist yet.
func notListening(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

// doubled returns first, doubled with each try, with a jitter of one half so that the
// containers of a pod do not retry at the same time.
func doubled(first time.Duration, try int) time.Duration {
	wait := min(first<<min(try-1, 10), maxBackOff)
	return wait/2 + rand.N(wait/2) //nolint:gosec // jitter is no secret
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// retryAfter parses a delay in seconds (RFC 9110 section 10.2.3), which is the form
// that skr sends.
func retryAfter(header http.Header) time.Duration {
	seconds, err := strconv.ParseUint(header.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
