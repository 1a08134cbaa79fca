package httpclient

import (
	"context"
	"errors"
	"fmt"
	"time"

	"skr/internal/refusal"
)

// refuse makes the error of a request whose last attempt failed.
func (c *Client) refuse(host string, tries int, failed *failure) error {
	return &refusal.Error{
		Kind:       failed.kind,
		Reason:     c.service + " " + failed.reason,
		RetryAfter: publicWait(failed.kind, failed.retryAfter),
		Err:        fmt.Errorf("host %s, attempt %d: %w", host, tries, failed.cause),
	}
}

// refuseAtOnce makes the error of a request that an open circuit stopped.
func (c *Client) refuseAtOnce(ctx context.Context, host string, left time.Duration) error {
	if c.refused != nil {
		c.refused(ctx)
	}
	return &refusal.Error{
		Kind:       refusal.Unavailable,
		Reason:     c.service + " has been failing and is not asked for now; try again later",
		RetryAfter: left,
		Err:        fmt.Errorf("host %s: %w", host, errOpen),
	}
}

// ended reports whether ctx is over. A dial uses the deadline itself and may
// return a moment before the context's own timer fires.
func ended(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// endedError makes the error of a request whose context is over. That says nothing of
// the host. An attempt that had failed in its own time before does: then the error also
// wraps [refusal.Unavailable].
func (c *Client) endedError(ctx context.Context, v *visit, last *failure) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return c.errorf(fmt.Errorf("host %s: %w", v.host, canceled(ctx)))
	}
	cause := fmt.Errorf("host %s: %w (last attempt: %w)", v.host, context.DeadlineExceeded, last.cause)
	if v.saw == outage {
		cause = fmt.Errorf("%w; an attempt in its own time found it %w", cause, refusal.Unavailable)
	}
	return &refusal.Error{Kind: refusal.Timeout, Reason: "the deadline passed while asking " + c.service, Err: cause}
}

// canceled is the context's error, with the canceller's cause if it gave one.
func canceled(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return fmt.Errorf("%w: %w", context.Canceled, cause)
	}
	return context.Canceled
}

func (c *Client) errorf(err error) error {
	return fmt.Errorf("asking %s: %w", c.service, err)
}
