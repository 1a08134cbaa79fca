package dialect_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"skr/internal/sidecar/dialect"
)

// TestAsk checks that the local server sees the caller, and no other headers of its request.
func TestAsk(t *testing.T) {
	local := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != "body" || r.Method != http.MethodPost || r.URL.Path != "/key/sign" || r.Host != "localhost" {
			t.Errorf("asked %s %s of %s with %q, %v", r.Method, r.URL, r.Host, body, err)
		}
		for name, want := range map[string]string{
			"Authorization": "Bearer token", "Origin": "https://page.example", "Sec-Fetch-Site": "cross-site", "X-Request-Id": "id",
			"Accept": "", "Cookie": "", "X-Forwarded-For": "",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if r.RemoteAddr != "127.0.0.1:1" {
			t.Errorf("the peer is %s", r.RemoteAddr)
		}
		w.Header().Set("X-Answer", "yes")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "refused")
	})
	r := httptest.NewRequest(http.MethodGet, "/other", strings.NewReader("other"))
	r.RemoteAddr = "127.0.0.1:1"
	for name, value := range map[string]string{
		"Authorization": "Bearer token", "Origin": "https://page.example", "Sec-Fetch-Site": "cross-site",
		"Accept": "text/plain", "Cookie": "a=b", "X-Forwarded-For": "10.0.0.1", "X-Request-Id": "other",
	} {
		r.Header.Set(name, value)
	}
	q := dialect.Question{Method: http.MethodPost, Route: "/key/sign", Host: "localhost", RequestID: "id", Body: []byte("body")}
	got := dialect.Ask(local, r, q)
	if got.Status != http.StatusForbidden || string(got.Body) != "refused" || got.Header().Get("X-Answer") != "yes" {
		t.Errorf("answered %d %q", got.Status, got.Body)
	}
	if got := dialect.Ask(local, r, dialect.Question{Method: "BAD METHOD"}); got.Status != 0 {
		t.Errorf("a request that cannot be made is answered with %d", got.Status)
	}
}
