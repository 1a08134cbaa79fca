package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// answers is a server of /key/watch that gives one answer after the other.
type answers struct {
	mu   sync.Mutex
	all  []func(http.ResponseWriter)
	seen []string // the versions that the client knew
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = append(a.seen, r.FormValue("alias")+" "+r.FormValue("version"))
	if len(a.all) == 0 {
		return
	}
	a.all[0](w)
	a.all = a.all[1:]
}

func at(version string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		_ = json.NewEncoder(w).Encode(WatchResponse{KID: "x/" + version, Version: version})
	}
}

func failing(code Code) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(code.HTTPStatus())
		_ = json.NewEncoder(w).Encode(Error{Message: "no", Code: code})
	}
}

// Watch yields each version once, and errors, after which it goes on with what it knows.
func TestWatch(t *testing.T) {
	a := &answers{all: []func(http.ResponseWriter){at("1"), at("1"), failing(Internal), at("1"), at("2")}}
	server := httptest.NewServer(a)
	defer server.Close()
	client, err := NewClient(Config{BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for version, err := range client.Watch(t.Context(), "orders") {
		if err != nil {
			if !errors.Is(err, Internal) {
				t.Errorf("got %v", err)
			}
			got = append(got, "error")
			continue
		}
		if got = append(got, version.Version); version.Version == "2" {
			break
		}
	}
	if want := []string{"1", "error", "2"}; len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := len(a.seen); n != 5 || a.seen[0] != "orders " || a.seen[4] != "orders 1" {
		t.Errorf("the client asked %q", a.seen)
	}
}

// The waits grow, respect Retry-After, and are long after a refusal.
func TestWaitToWatch(t *testing.T) {
	for _, c := range []struct {
		failures    int
		err         error
		least, most time.Duration
	}{
		{1, errors.New("x"), firstBackOff / 2, firstBackOff},
		{9, errors.New("x"), maxBackOff / 2, maxBackOff},
		{1, &Error{Status: 503, RetryAfter: 7 * time.Second}, 7 * time.Second, 7 * time.Second},
		{1, &Error{Status: 403}, 15 * time.Second, 30 * time.Second},
	} {
		if got := waitToWatch(c.failures, c.err); got < c.least || got > c.most {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}
