package httpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"skr/internal/refusal"
)

var errOversized = errors.New("the body is too large")

// failure is an attempt that gave no answer.
type failure struct {
	kind       *refusal.Kind
	reason     string // the rest of a sentence that begins with the service's name
	cause      error
	retryAfter time.Duration // as the service asked; 0 if it did not
	retriable  bool
	updating   bool // the service answers, and will do so better
}

// attempt sends the request once and reports it.
func (c *Client) attempt(ctx context.Context, request *http.Request, try int) (*Response, *failure) {
	start := time.Now()
	answer, err := c.exchange(ctx, request)
	failed := c.classify(answer, err)
	c.report(ctx, start, answer, failed, try)
	if failed != nil {
		return nil, failed
	}
	return answer, nil
}

// exchange sends a copy under the attempt's own deadline. An error may come
// with the part of the answer that was read. It uses the transport directly
// and not an http.Client: that would follow redirects and put the URL with its
// query into errors.
func (c *Client) exchange(ctx context.Context, request *http.Request) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	sent, err := renewed(ctx, request)
	if err != nil {
		return nil, err
	}
	answer, err := c.transport.RoundTrip(sent)
	if err != nil {
		return nil, err
	}
	// An unwanted body is not drained, though it costs the connection: it may
	// never end, and that of a 101 does not even heed the context.
	defer answer.Body.Close() //nolint:errcheck // what was wanted has been read
	result := &Response{Status: answer.StatusCode, Header: answer.Header}
	if c.statusFailure(result) == nil {
		result.Body, err = readBounded(answer.Body, c.maxBody)
	}
	return result, err
}

// renewed returns a copy of the request with an unread body. The header is shared: a
// transport does not change it.
func renewed(ctx context.Context, request *http.Request) (*http.Request, error) {
	body, err := request.GetBody()
	if err != nil {
		return nil, err
	}
	fresh := request.WithContext(ctx)
	fresh.Body = body
	return fresh, nil
}

func readBounded(body io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, errOversized
	}
	return data, nil
}

// judge says what is wrong with an attempt; nil if nothing is.
func (c *Client) classify(answer *Response, err error) *failure {
	if err != nil {
		return c.transportFailure(err)
	}
	return c.statusFailure(answer)
}

// statusFailure says what is wrong with an answer's status; nil if nothing is.
func (c *Client) statusFailure(answer *Response) *failure {
	status := answer.Status
	cause := fmt.Errorf("status %d", status)
	after := retryAfter(answer.Header, time.Now())
	switch {
	case slices.Contains(c.retry.Also, status):
		return &failure{
			kind: refusal.Unavailable, reason: "is being updated or is not ready; try again", cause: cause,
			retryAfter: after, retriable: true, updating: true,
		}
	case status == http.StatusTooManyRequests:
		return &failure{kind: refusal.Throttled, reason: "is throttling requests; try again later", cause: cause, retryAfter: after, retriable: true}
	case status == http.StatusRequestTimeout, status >= 500:
		return &failure{kind: refusal.Unavailable, reason: "is failing; try again later", cause: cause, retryAfter: after, retriable: retriedStatus(status)}
	case status >= 200 && status < 300, status >= 400:
		return nil
	case status >= 300:
		return &failure{kind: refusal.Untrusted, reason: "answered with a redirect, which is never followed; check its address", cause: cause}
	}
	return &failure{kind: refusal.Untrusted, reason: "answered with an unexpected status", cause: cause}
}

// transportFailure sorts the errors of exchange.
func (c *Client) transportFailure(err error) *failure {
	if errors.Is(err, errOversized) {
		return &failure{kind: refusal.Untrusted, reason: fmt.Sprintf("answered with more than %d bytes", c.maxBody), cause: err}
	}
	advice := transportAdvice(err)
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &failure{
			kind: refusal.Untrusted, reason: "has a TLS certificate that does not verify; check its address and ca_file",
			cause: refusal.Advised(err, advice),
		}
	}
	cause := refusal.Advised(printable(err), advice)
	if unknown, ok := errors.AsType[*net.DNSError](err); ok && unknown.IsNotFound {
		return &failure{kind: refusal.Unavailable, reason: "has a name that does not exist; check its address", cause: cause}
	}
	return &failure{kind: refusal.Unavailable, reason: "cannot be reached; try again later", cause: cause, retriable: true}
}

// printable returns err if it is known to describe only the network. Others, such as
// net/http's "malformed HTTP response", quote what the service sent: of these it returns
// the type.
func printable(err error) error {
	if _, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("transport error of type %T", err)
	}
	_, network := errors.AsType[net.Error](err)
	_, alert := errors.AsType[tls.AlertError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case network, alert, record,
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled),
		errors.Is(err, http.ErrSchemeMismatch):
		return err
	}
	return fmt.Errorf("transport error of type %T", err)
}
