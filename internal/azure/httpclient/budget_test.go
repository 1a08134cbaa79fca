package httpclient

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"skr/internal/refusal"
)

// retries counts what the budget allows until it is empty.
func (b *budget) retries() (n int) {
	for b.spend() {
		n++
	}
	return n
}

func TestBudget(t *testing.T) {
	for _, test := range []struct {
		name     string
		answered int
		passed   time.Duration
		want     int
	}{
		{"empty", 0, 0, 0},
		{"one answer is half a retry", 1, 0, 0},
		{"two answers are one", 2, 0, 1},
		{"one second is half a retry", 0, time.Second, 0},
		{"both", 1, time.Second, 1},
		{"ten seconds", 0, 10 * time.Second, 5},
		{"never more than the capacity by answers", 1000, 0, 20},
		{"never more than the capacity by time", 0, time.Hour, 20},
		{"nor by both", 1000, time.Hour, 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBudget(20)
				if first := b.retries(); first != 20 {
					t.Errorf("a new budget allows %d retries", first)
				}
				time.Sleep(test.passed)
				for range test.answered {
					b.answered()
				}
				if got := b.retries(); got != test.want {
					t.Errorf("then %d retries, want %d", got, test.want)
				}
			})
		})
	}
}

// TestRetriesDoNotMultiplyAnOutage: after the budget each request is one
// attempt, which is never denied and not waited after.
func TestRetriesDoNotMultiplyAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &upstream{status: http.StatusBadGateway}
		client := newSteady(Config{
			Transport: service, Retry: Retry{Attempts: 3, Base: time.Nanosecond, Budget: 7}, Circuit: Circuit{Failures: 1 << 20},
		})
		for i := range 100 {
			before := service.asked
			if err := ask(t.Context(), client, "maa.example"); !errors.Is(err, refusal.Unavailable) {
				t.Fatalf("request %d got %v", i+1, err)
			}
			if i >= 4 && service.asked != before+1 {
				t.Fatalf("request %d was %d attempts", i+1, service.asked-before)
			}
		}
		if service.asked != 100+7 {
			t.Errorf("100 requests were %d attempts, want 107", service.asked)
		}
		start := time.Now()
		if _ = ask(t.Context(), client, "maa.example"); time.Since(start) != 0 {
			t.Errorf("a request without a retry waits %v", time.Since(start))
		}
		service.status = http.StatusOK
		_, _ = ask(t.Context(), client, "maa.example"), ask(t.Context(), client, "maa.example")
		service.status, service.asked = http.StatusBadGateway, 0
		if _ = ask(t.Context(), client, "maa.example"); service.asked != 2 {
			t.Errorf("two answers later a request is %d attempts, want 2", service.asked)
		}
	})
}
