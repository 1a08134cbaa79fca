package httpclient

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name, value string
		want        time.Duration
	}{
		{"Retry-After", "", 0},
		{"Retry-After", "0", 0},
		{"Retry-After", "120", 2 * time.Minute},
		{"Retry-After", "-1", 0},
		{"Retry-After", "1.5", 0},
		{"Retry-After", "soon", 0},
		{"Retry-After", "9223372036854775807", longestWait},
		{"Retry-After", "99999999999999999999", 0},
		{"Retry-After", "Fri, 01 May 2026 12:00:30 GMT", 30 * time.Second},
		{"Retry-After", "Fri, 01 May 2026 11:00:00 GMT", 0},
		{"Retry-After", "Fri, 01 May 9999 11:00:00 GMT", longestWait},
		{"Retry-After-Ms", "1500", 1500 * time.Millisecond},
		{"X-Ms-Retry-After-Ms", "10", 10 * time.Millisecond},
	} {
		if got := retryAfter(http.Header{test.name: {test.value}}, now); got != test.want {
			t.Errorf("%s: %q is %v, want %v", test.name, test.value, got, test.want)
		}
	}
}

func TestCeiling(t *testing.T) {
	retry := Retry{Base: time.Second, Cap: 5 * time.Second}
	got := make([]time.Duration, 0, 6)
	for tries := range 6 {
		got = append(got, retry.ceiling(tries+1)/time.Second)
	}
	if many := retry.ceiling(100); many != retry.Cap {
		t.Errorf("after 100 attempts: %v", many)
	}
	if diff := cmp.Diff([]time.Duration{1, 2, 4, 5, 5, 5}, got); diff != "" {
		t.Errorf("seconds (-want +got):\n%s", diff)
	}
}

func TestFullJitter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ceiling := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "ceiling"))
		if wait := fullJitter(ceiling); wait < 0 || wait > ceiling {
			t.Errorf("%v is outside 0 to %v", wait, ceiling)
		}
	})
	if a, b, c := fullJitter(time.Hour), fullJitter(time.Hour), fullJitter(time.Hour); a == b && b == c {
		t.Errorf("three equal waits of %v", a)
	}
}
