package httpclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skr/internal/refusal"
)

// TestMain sets a proxy that does not exist before net/http reads the environment. A
// request to that proxy is lost.
func TestMain(m *testing.M) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
		if err := os.Setenv(name, "http://127.0.0.1:1"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// waits records the waits of a client that does not sleep.
type waits struct{ all []time.Duration }

// newImpatient makes a client whose jitter is always the ceiling.
func newImpatient(c Config) (*Client, *waits) {
	w := &waits{}
	c.Jitter = ceiling
	client := New(c)
	client.sleep = func(_ context.Context, d time.Duration) error {
		w.all = append(w.all, d)
		return nil
	}
	return client, w
}

// step is one scripted answer.
type step struct {
	status int
	header map[string]string
	body   string
}

// serve answers with the steps in turn and repeats the last one.
func serve(t *testing.T, steps ...step) (*httptest.Server, *[]*http.Request) {
	t.Helper()
	var seen []*http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := steps[min(len(seen), len(steps)-1)]
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		seen = append(seen, r)
		for name, value := range s.header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(s.status)
		_, _ = io.WriteString(w, s.body)
	}))
	t.Cleanup(server.Close)
	return server, &seen
}

func TestDoReturnsAnswers(t *testing.T) {
	for _, status := range []int{200, 201, 204, 400, 401, 403, 404, 405, 409, 410, 499} {
		t.Run(fmt.Sprintf("status %d", status), func(t *testing.T) {
			server, seen := serve(t, step{status: status, header: map[string]string{"X-Test": "1"}})
			client, slept := newImpatient(Config{Service: "MAA"})
			answer, err := client.Do(t.Context(), Request{URL: server.URL + "/path?a=b"})
			if err != nil {
				t.Fatal(err)
			}
			if answer.Status != status || answer.Header.Get("X-Test") != "1" || len(*seen) != 1 || len(slept.all) != 0 {
				t.Errorf("got status %d, header %v after %d requests", answer.Status, answer.Header, len(*seen))
			}
			if got := (*seen)[0]; got.Method != http.MethodGet || got.URL.String() != "/path?a=b" || got.UserAgent() != "skr" {
				t.Errorf("the server saw %s %s by %q", got.Method, got.URL, got.UserAgent())
			}
		})
	}
}

func TestDoRetries(t *testing.T) {
	const base = 500 * time.Millisecond
	for _, test := range []struct {
		name  string
		steps []step
		kind  *refusal.Kind // nil for success
		after time.Duration
		waits []time.Duration
	}{
		{"503 then 200", []step{{status: 503}, {status: 200}}, nil, 0, []time.Duration{base}},
		{"each retried status", []step{{status: 408}, {status: 500}, {status: 502}, {status: 200}}, nil, 0, []time.Duration{base, 2 * base, 4 * base}},
		{"504 always", []step{{status: 504}}, refusal.Unavailable, 0, []time.Duration{base, 2 * base, 4 * base}},
		{"501 is final", []step{{status: 501}}, refusal.Unavailable, 0, nil},
		{"redirect", []step{{status: 302, header: map[string]string{"Location": "/elsewhere"}}}, refusal.Untrusted, 0, nil},
		{"not modified", []step{{status: 304}}, refusal.Untrusted, 0, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, seen := serve(t, test.steps...)
			client, slept := newImpatient(Config{Service: "MAA"})
			_, err := client.Do(t.Context(), Request{Method: "POST", URL: server.URL, Body: []byte("evidence")})
			checkRefusal(t, err, test.kind, test.after)
			if diff := cmp.Diff(test.waits, slept.all); diff != "" {
				t.Errorf("waits (-want +got):\n%s", diff)
			}
			if len(*seen) != len(test.waits)+1 {
				t.Errorf("%d requests, want %d", len(*seen), len(test.waits)+1)
			}
			for i, r := range *seen {
				if body, _ := io.ReadAll(r.Body); string(body) != "evidence" {
					t.Errorf("request %d had body %q", i+1, body)
				}
			}
		})
	}
}

// An additional status is retried as often as others and opens no circuit.
func TestDoRetriesAlso(t *testing.T) {
	server, seen := serve(t, step{status: 410})
	client, _ := newImpatient(Config{Service: "THIM", Retry: Retry{Also: []int{410}, Budget: 100}})
	for range 2 * defaultFailures {
		_, err := client.Do(t.Context(), Request{URL: server.URL})
		checkRefusal(t, err, refusal.Unavailable, 0)
	}
	if want := 2 * defaultFailures * DefaultRetry().Attempts; len(*seen) != want || client.OpenCircuits() != 0 {
		t.Errorf("%d requests and %d open circuits, want %d and none", len(*seen), client.OpenCircuits(), want)
	}
}

func checkRefusal(t *testing.T, err error, kind *refusal.Kind, after time.Duration) {
	t.Helper()
	if kind == nil {
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	refused, ok := errors.AsType[*refusal.Error](err)
	if !ok || refused.Kind != kind || refused.RetryAfter != after {
		t.Fatalf("got %v (%+v), want %v after %v", err, refused, kind, after)
	}
}

func TestDoRetriesTransportErrors(t *testing.T) {
	var tries atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if tries.Add(1) < 3 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	client, _ := newImpatient(Config{Service: "MAA"})
	answer, err := client.Do(t.Context(), Request{Method: "POST", URL: server.URL})
	if err != nil || answer.Status != http.StatusNoContent || tries.Load() != 3 {
		t.Fatalf("after %d attempts: %v, %v", tries.Load(), answer, err)
	}
	server.Close()
	_, err = client.Do(t.Context(), Request{URL: server.URL})
	checkRefusal(t, err, refusal.Unavailable, 0)
}

func TestDoBoundsBody(t *testing.T) {
	const limit = 1000
	for _, test := range []struct {
		name string
		size int
		kind *refusal.Kind
	}{{"largest", limit, nil}, {"one more", limit + 1, refusal.Untrusted}, {"far more", 1 << 22, refusal.Untrusted}} {
		t.Run(test.name, func(t *testing.T) {
			server, seen := serve(t, step{status: 200, body: strings.Repeat("x", test.size)})
			client, _ := newImpatient(Config{Service: "MAA", MaxBody: limit})
			answer, err := client.Do(t.Context(), Request{URL: server.URL})
			checkRefusal(t, err, test.kind, 0)
			if err == nil && len(answer.Body) != test.size {
				t.Errorf("got %d bytes", len(answer.Body))
			}
			if len(*seen) != 1 {
				t.Errorf("%d requests", len(*seen))
			}
		})
	}
}

// TestErrorsHoldNoSecret checks that an error names the service and the host and contains
// nothing that was sent or received.
func TestErrorsHoldNoSecret(t *testing.T) {
	garbage := roundTrip(func(*http.Request) (*http.Response, error) {
		return nil, errors.New(`malformed HTTP response "hush"`)
	})
	wrapped := roundTrip(func(r *http.Request) (*http.Response, error) {
		return nil, &url.Error{Op: "Get", URL: r.URL.String(), Err: io.EOF}
	})
	answering := func(status int, body string) http.RoundTripper {
		return roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{"Location": {"https://hush/"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
		})
	}
	for name, transport := range map[string]http.RoundTripper{
		"garbage": garbage, "wrapped": wrapped, "redirect": answering(307, ""),
		"failing": answering(503, "hush"), "throttling": answering(429, "hush"),
		"oversized": answering(200, strings.Repeat("hush", 100)), "switching": answering(101, ""),
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := newImpatient(Config{Service: "Key Vault", Transport: transport, MaxBody: 10})
			_, err := client.Do(t.Context(), Request{
				URL: "https://vault.example/keys/hush?sig=hush", Header: http.Header{"Authorization": {"Bearer hush"}}, Body: []byte("hush"),
			})
			if err == nil || strings.Contains(err.Error(), "hush") {
				t.Fatalf("got %v", err)
			}
			for _, want := range []string{"Key Vault", "vault.example"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not name %s", err, want)
				}
			}
		})
	}
}

func TestDoRefusesURLs(t *testing.T) {
	client, _ := newImpatient(Config{Service: "MAA"})
	for _, text := range []string{"", "https://", "ftp://hush/", "/hush", "http://hush:hush@host/", "http://host/%zzhush", "http://ho st/hush"} {
		_, err := client.Do(t.Context(), Request{URL: text})
		if err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "the request's URL") {
			t.Errorf("%q: got %v", text, err)
		}
	}
	if _, err := client.Do(t.Context(), Request{Method: "B AD", URL: "http://host.localhost:1/"}); err == nil {
		t.Error("a malformed method is accepted")
	}
}

// TestDoLeavesRequestAlone checks that the caller's header is not modified.
func TestDoLeavesRequestAlone(t *testing.T) {
	server, seen := serve(t, step{status: 200})
	client, _ := newImpatient(Config{Service: "MAA", UserAgent: "other"})
	header := http.Header{"Accept": {"application/json"}}
	if _, err := client.Do(t.Context(), Request{URL: server.URL, Header: header}); err != nil {
		t.Fatal(err)
	}
	if len(header) != 1 {
		t.Errorf("the header was changed to %v", header)
	}
	if got := (*seen)[0].Header; got.Get("Accept") != "application/json" || got.Get("User-Agent") != "other" {
		t.Errorf("the server saw %v", got)
	}
}

// closing is a body that records whether it was closed.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func TestBodiesAreClosed(t *testing.T) {
	for _, status := range []int{200, 302, 404, 429, 500} {
		var bodies []*closing
		client, _ := newImpatient(Config{MaxBody: 5, Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			body := &closing{Reader: strings.NewReader("longer than five")}
			bodies = append(bodies, body)
			return &http.Response{StatusCode: status, Body: body}, nil
		})})
		if _, err := client.Do(t.Context(), Request{URL: "https://maa.example/"}); err == nil {
			t.Errorf("no error for status %d", status)
		}
		for i, body := range bodies {
			if !body.closed {
				t.Errorf("status %d: body %d is still open", status, i)
			}
		}
	}
}

func TestConnectionIsReused(t *testing.T) {
	steps := slices.Repeat([]step{{status: 404, body: "none"}, {status: 200, body: "some"}}, 3)
	server, seen := serve(t, steps...)
	client, _ := newImpatient(Config{Service: "MAA"})
	for range 6 {
		if _, err := client.Do(t.Context(), Request{URL: server.URL}); err != nil {
			t.Fatal(err)
		}
	}
	addresses := map[string]bool{}
	for _, r := range *seen {
		addresses[r.RemoteAddr] = true
	}
	if len(*seen) != 6 || len(addresses) != 1 {
		t.Errorf("%d requests used %d connections", len(*seen), len(addresses))
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// endless returns no bytes and ignores the context, like the body of a 101.
type endless struct{ closed chan struct{} }

func (e endless) Read([]byte) (int, error) { <-e.closed; return 0, io.EOF }
func (e endless) Close() error             { close(e.closed); return nil }

// The client does not wait for an unwanted body and keeps the meaning of its status.
func TestEndlessBodies(t *testing.T) {
	for status, want := range map[int]*refusal.Kind{101: refusal.Untrusted, 302: refusal.Untrusted, 429: refusal.Throttled, 503: refusal.Unavailable} {
		client, _ := newImpatient(Config{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Body: endless{make(chan struct{})}}, nil
		})})
		if _, err := client.Do(t.Context(), Request{URL: "https://maa.example/"}); !errors.Is(err, want) {
			t.Errorf("status %d: got %v, want %v", status, err, want)
		}
	}
}
