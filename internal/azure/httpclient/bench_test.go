package httpclient

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

func benchmarkDo(b *testing.B, c Config) {
	c.Transport = roundTrip(func(*http.Request) (*http.Response, error) { return answerOf(http.StatusOK), nil })
	client := New(c)
	request := Request{
		Method: http.MethodPost, URL: "https://vault.example/keys/name/version/release?api-version=7.4",
		Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(strings.Repeat("x", 4<<10)),
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Do(b.Context(), request); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDo(b *testing.B) { benchmarkDo(b, Config{}) }

func BenchmarkDoObserved(b *testing.B) {
	benchmarkDo(b, Config{Observe: func(context.Context, Exchange) {}})
}

// BenchmarkPolicy measures the cost of circuit and budget for an answered request.
func BenchmarkPolicy(b *testing.B) {
	client := New(Config{Transport: silent})
	b.ReportAllocs()
	for b.Loop() {
		v, _ := client.hosts.enter("", "vault.example")
		v.note(nil)
		client.budget.answered()
		client.hosts.leave(b.Context(), v)
	}
}

// BenchmarkRefused measures the cost of a request to a dead service.
func BenchmarkRefused(b *testing.B) {
	client := New(Config{Transport: &upstream{}, Circuit: Circuit{Failures: 1, Open: 1 << 62}, Retry: Retry{Attempts: 1}})
	_ = ask(b.Context(), client, "vault.example")
	b.ReportAllocs()
	for b.Loop() {
		if err := ask(b.Context(), client, "vault.example"); err == nil {
			b.Fatal("an open circuit allows a request")
		}
	}
}
