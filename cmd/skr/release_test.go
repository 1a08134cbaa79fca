package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"skr/hsm"
	"skr/internal/refusal"
)

// Only throttling is retried, and only before the deadline.
func TestRetryThrottled(t *testing.T) {
	throttled := &refusal.Error{Kind: refusal.Throttled, RetryAfter: 20 * time.Second}
	for _, c := range []struct {
		name    string
		answers []error // then success
		want    error
		took    time.Duration
	}{
		{"at once", nil, nil, 0},
		{"throttled twice", []error{throttled, throttled}, nil, 40 * time.Second},
		{"throttled too long", []error{throttled, throttled, throttled}, refusal.Throttled, 40 * time.Second},
		{"throttled for an unknown time", []error{&refusal.Error{Kind: refusal.Throttled}}, refusal.Throttled, 0},
		{"refused", []error{throttled, refusal.Newf(refusal.ReleaseRejected, "no")}, refusal.ReleaseRejected, 20 * time.Second},
		{"unreachable", []error{&refusal.Error{Kind: refusal.Unavailable, RetryAfter: time.Second}}, refusal.Unavailable, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 55*time.Second)
				defer cancel()
				start, try := time.Now(), 0
				_, err := retryThrottled(ctx, func() (*hsm.Key, error) {
					if try++; try <= len(c.answers) {
						return nil, c.answers[try-1]
					}
					return nil, nil
				})
				if !errors.Is(err, c.want) || time.Since(start) != c.took {
					t.Errorf("got %v after %v, want %v after %v", err, time.Since(start), c.want, c.took)
				}
			})
		})
	}
}
