package httpclient

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"skr/internal/refusal"
)

// retries returns the number of retries until the budget is empty.
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
		{"one answer earns half a retry", 1, 0, 0},
		{"two answers earn one", 2, 0, 1},
		{"one second earns half a retry", 0, time.Second, 0},
		{"both", 1, time.Second, 1},
		{"ten seconds", 0, 10 * time.Second, 5},
		{"answers do not exceed the capacity", 1000, 0, 20},
		{"time does not exceed the capacity", 0, time.Hour, 20},
		{"both do not exceed the capacity", 1000, time.Hour, 20},
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

// TestRetriesDoNotMultiplyAnOutage checks that each request makes one attempt once the
// budget is empty. That attempt is never denied and has no wait after it.
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
				t.Fatalf("request %d made %d attempts", i+1, service.asked-before)
			}
		}
		if service.asked != 100+7 {
			t.Errorf("100 requests made %d attempts, want 107", service.asked)
		}
		start := time.Now()
		if _ = ask(t.Context(), client, "maa.example"); time.Since(start) != 0 {
			t.Errorf("a request without a retry waits %v", time.Since(start))
		}
		service.status = http.StatusOK
		_, _ = ask(t.Context(), client, "maa.example"), ask(t.Context(), client, "maa.example")
		service.status, service.asked = http.StatusBadGateway, 0
		if _ = ask(t.Context(), client, "maa.example"); service.asked != 2 {
			t.Errorf("after two answers a request makes %d attempts, want 2", service.asked)
		}
	})
}
