package httpclient

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"skr/internal/refusal"
)

// silent never answers.
var silent = roundTrip(func(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
})

func busy(header http.Header) http.RoundTripper {
	return roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusTooManyRequests, Header: header, Body: io.NopCloser(strings.NewReader(""))}, nil
	})
}

func TestDeadlines(t *testing.T) {
	retryAfter := func(value string) http.Header { return http.Header{"Retry-After": {value}} }
	fixed := Retry{Attempts: 3, Base: 2 * time.Second, Cap: 2 * time.Second}
	for _, test := range []struct {
		name      string
		transport http.RoundTripper
		deadline  time.Duration // caller's deadline; 0 means none
		kind      *refusal.Kind
		elapsed   time.Duration
	}{
		{"each attempt ends", silent, 0, refusal.Unavailable, 3*10*time.Second + 2*2*time.Second},
		{"the caller's deadline in an attempt", silent, 15 * time.Second, refusal.Timeout, 15 * time.Second},
		{"no wait beyond the deadline", silent, 11 * time.Second, refusal.Unavailable, 10 * time.Second},
		{"Retry-After beyond the deadline", busy(retryAfter("20")), 15 * time.Second, refusal.Throttled, 0},
		{"Retry-After within the deadline", busy(retryAfter("20")), 35 * time.Second, refusal.Throttled, 20 * time.Second},
		{"Retry-After as a date, then past", busy(retryAfter("Sat, 01 Jan 2000 00:00:05 GMT")), 0, refusal.Throttled, 5 * time.Second},
		{"longer than skr keeps a caller waiting", busy(retryAfter("31")), 0, refusal.Throttled, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := New(Config{Service: "THIM", Transport: test.transport, Retry: fixed, Jitter: ceiling})
				client.hosts.jitter = func(time.Duration) time.Duration { return 0 }
				ctx := t.Context()
				if test.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.deadline)
					defer cancel()
				}
				start := time.Now()
				_, err := client.Do(ctx, Request{URL: "http://169.254.169.254/"})
				if !errors.Is(err, test.kind) {
					t.Errorf("got %v, want %v", err, test.kind)
				}
				if elapsed := time.Since(start); elapsed != test.elapsed {
					t.Errorf("took %v, want %v", elapsed, test.elapsed)
				}
				if test.kind == refusal.Timeout && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v lacks its cause", err)
				}
			})
		})
	}
}

func TestCancellation(t *testing.T) {
	for name, transport := range map[string]http.RoundTripper{
		"in an attempt": silent,
		"in a wait":     busy(http.Header{"Retry-After": {"10"}}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reason := errors.New("the pod is stopping")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(3*time.Second, func() { cancel(reason) })
				start := time.Now()
				_, err := New(Config{Service: "MAA", Transport: transport}).Do(ctx, Request{URL: "https://maa.example/"})
				if !errors.Is(err, context.Canceled) || !errors.Is(err, reason) || time.Since(start) != 3*time.Second {
					t.Errorf("got %v after %v", err, time.Since(start))
				}
				if _, refused := errors.AsType[*refusal.Error](err); refused {
					t.Errorf("%v blames another party", err)
				}
			})
		})
	}
}
