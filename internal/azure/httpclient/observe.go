package httpclient

import (
	"context"
	"errors"
	"net/http"
	"time"

	"skr/internal/refusal"
)

// Exchange is one attempt that went out, as a log, a metric or a trace may tell
// it: it names no host and holds nothing that was sent.
type Exchange struct {
	// Start and End are those of the attempt, the answer's body included.
	Start, End time.Time
	// Status is that of HTTP; 0 where there was no answer.
	Status int
	// RequestID is the service's x-ms-request-id, "" where that is missing or
	// not made of up to 64 letters, digits and hyphens.
	RequestID string
	// Kind is why the attempt failed; nil where it did not, or where the
	// caller cancelled it.
	Kind *refusal.Kind
	// Retry is true for all attempts of a request but the first.
	Retry bool
}

func (c *Client) report(ctx context.Context, start time.Time, answer *Response, failed *failure, try int) {
	if c.observe == nil {
		return
	}
	e := Exchange{Start: start, End: time.Now(), Kind: blamed(ctx, failed), Retry: try > 1}
	if answer != nil {
		e.Status, e.RequestID = answer.Status, requestID(answer.Header)
	}
	c.observe(ctx, e)
}

// blamed is the kind that Do would tell if this attempt were the last.
func blamed(ctx context.Context, failed *failure) *refusal.Kind {
	switch {
	case failed == nil || errors.Is(ctx.Err(), context.Canceled):
		return nil
	case ended(ctx):
		return refusal.Timeout
	}
	return failed.kind
}

// maxRequestID is twice the length of the GUIDs that Azure sends.
const maxRequestID = 64

// requestID reads a stranger's text that will be logged as it is.
func requestID(h http.Header) string {
	text := h.Get("X-Ms-Request-Id")
	if len(text) > maxRequestID {
		return ""
	}
	for _, c := range []byte(text) {
		if !isIDByte(c) {
			return ""
		}
	}
	return text
}

func isIDByte(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-'
}
