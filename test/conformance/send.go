package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// answer is the answer of a service.
type answer struct {
	status int
	header http.Header
	body   []byte
	json   any // nil if the body is not JSON
}

// send sends a request and waits as the service says while it throttles. An interruption does not
// cancel a request that was sent: it may have changed the vault.
func (s *session) send(ctx context.Context, transport http.RoundTripper, r request) (*answer, error) {
	for try := 1; ; try++ {
		if ctx.Err() != nil {
			return nil, errInterrupted
		}
		got, err := sendOnce(context.WithoutCancel(ctx), transport, s.host, r)
		if err != nil || got.status != http.StatusTooManyRequests || try == maxTries {
			return got, err
		}
		if err := s.pause(ctx, retryAfter(got.header, try)); err != nil {
			return nil, err
		}
	}
}

var errInterrupted = &skip{"interrupted"}

func sendOnce(ctx context.Context, transport http.RoundTripper, host string, r request) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	out, err := r.build(ctx, host)
	if err != nil {
		return nil, err
	}
	in, err := transport.RoundTrip(out)
	if err != nil {
		return nil, fmt.Errorf("no answer: %w", err)
	}
	defer in.Body.Close() //nolint:errcheck // it has been read
	body, err := io.ReadAll(io.LimitReader(in.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, errors.New("the answer is larger than 4 MiB")
	}
	return &answer{in.StatusCode, in.Header, body, parseJSON(body)}, nil
}

// parseJSON returns nil for a body that is not one JSON value.
func parseJSON(body []byte) any {
	var value any
	if json.Unmarshal(body, &value) != nil {
		return nil
	}
	return value
}

func retryAfter(h http.Header, try int) time.Duration {
	wait := time.Second << try
	if seconds, err := strconv.Atoi(h.Get("Retry-After")); err == nil && seconds >= 0 {
		wait = time.Duration(seconds) * time.Second
	}
	return min(wait, maxPause)
}

// pause waits, unless the run is interrupted.
func (s *session) pause(ctx context.Context, wait time.Duration) error {
	if s.config.pause != nil {
		return s.config.pause(ctx, wait)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return errInterrupted
	}
}
