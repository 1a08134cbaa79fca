package ops

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skr/api"
	"skr/internal/refusal"
)

const secretText = "hunter2-do-not-print"

func newServer(t *testing.T, c Config) *Server {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ask(s http.Handler, method, path string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, httptest.NewRequest(method, path, nil))
	return answer
}

var text = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	_, _ = io.WriteString(w, "skr_ready 1\n")
})

func TestRoutes(t *testing.T) {
	s := newServer(t, Config{Metrics: text, Parts: []Part{{Name: "evidence", Err: func() error { return nil }}}})
	const bad = `","code":"bad_request"}`
	for _, c := range []struct {
		method, path string
		status       int
		body, media  string
	}{
		{"GET", "/livez", 200, `{"status":"ok"}`, "application/json; charset=utf-8"},
		{"HEAD", "/livez", 200, "", ""},
		{"GET", "/readyz", 200, `{"ready":true,"parts":{"evidence":"ok"}}`, "application/json; charset=utf-8"},
		{"GET", "/readyz?verbose", 200, "[+]evidence ok\nreadyz check passed\n", "text/plain; charset=utf-8"},
		{"GET", "/metrics", 200, "skr_ready 1\n", "text/plain; version=0.0.4"},
		{"GET", "/", 404, bad, "application/json; charset=utf-8"},
		{"GET", "/livez/", 404, bad, ""},
		{"GET", "/%6civez", 404, bad, ""},
		{"POST", "/key/release", 404, bad, ""},
		{"POST", "/livez", 405, bad, ""},
		{"OPTIONS", "/metrics", 405, bad, ""},
		{"DELETE", "/readyz", 405, bad, ""},
	} {
		answer := ask(s, c.method, c.path)
		if answer.Code != c.status || !strings.HasSuffix(answer.Body.String(), c.body) && c.method != "HEAD" {
			t.Errorf("%s %s: %d %s", c.method, c.path, answer.Code, answer.Body)
		}
		header := answer.Header()
		if got := header.Get("Content-Type"); c.media != "" && got != c.media {
			t.Errorf("%s %s: Content-Type %q", c.method, c.path, got)
		}
		if header.Get("Cache-Control") != "no-store" || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: %v", c.method, c.path, header)
		}
		if allow := header.Get("Allow"); (allow == "GET, HEAD") != (c.status == 405) {
			t.Errorf("%s %s: Allow %q", c.method, c.path, allow)
		}
	}
}

func TestWithoutMetrics(t *testing.T) {
	if answer := ask(newServer(t, Config{}), "GET", "/metrics"); answer.Code != 404 {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

// Each part that is not ready gives its reason in public text only.
func TestNotReady(t *testing.T) {
	var log bytes.Buffer
	inner := errors.New(secretText)
	failures := map[string]error{
		"evidence": refusal.Because(refusal.NoEvidence, "mount /dev/sev-guest", inner),
		"audit":    fmt.Errorf("wrapped: %w", &refusal.Error{Kind: refusal.Unavailable, Err: inner}),
		"vault":    inner,
		"log":      nil,
	}
	c := Config{Logger: slog.New(slog.NewJSONHandler(&log, nil))}
	for name, err := range failures {
		c.Parts = append(c.Parts, Part{Name: name, Err: func() error { return err }})
	}
	answer := ask(newServer(t, c), "GET", "/readyz")
	var got api.ReadyResponse
	if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := api.ReadyResponse{Parts: map[string]string{
		"evidence": "no evidence: mount /dev/sev-guest", "audit": "unavailable",
		"vault": "not ready, see the log of skr", "log": "ok",
	}}
	if diff := cmp.Diff(want, got); answer.Code != 503 || diff != "" {
		t.Errorf("%d %s", answer.Code, diff)
	}
	if strings.Contains(answer.Body.String()+log.String(), secretText) {
		t.Errorf("a private cause is shown: %s %s", answer.Body, log.String())
	}
}

// A probe that a person reads has one line for each part. JSON stays the default, and what Accept
// prefers wins.
func TestReadyLines(t *testing.T) {
	failures := map[string]error{
		"evidence": refusal.Newf(refusal.NoEvidence, "mount\n/dev/sev-guest"), "audit": nil, "vault": errors.New(secretText),
		"device": refusal.Newf(refusal.NoEvidence, "%s", strings.Repeat("é", 4096)),
	}
	var c Config
	for name, err := range failures {
		c.Parts = append(c.Parts, Part{Name: name, Err: func() error { return err }})
	}
	s := newServer(t, c)
	for name, request := range map[string]struct {
		path, accept string
		text         bool
	}{
		"default":        {"/readyz", "", false},
		"kubelet":        {"/readyz", "*/*", false},
		"browser":        {"/readyz", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false},
		"verbose":        {"/readyz?verbose", "", true},
		"verbose, any":   {"/readyz?verbose=1", "*/*", true},
		"text":           {"/readyz", "text/plain", true},
		"verbose, JSON":  {"/readyz?verbose", "application/json", false},
		"prefers a text": {"/readyz", "application/json;q=0.5, text/*", true},
	} {
		r := httptest.NewRequest(http.MethodGet, request.path, nil)
		if request.accept != "" {
			r.Header.Set("Accept", request.accept)
		}
		answer := httptest.NewRecorder()
		s.ServeHTTP(answer, r)
		body := answer.Body.String()
		lines := "[+]audit ok\n[-]device failed: no evidence: "
		if answer.Code != http.StatusServiceUnavailable || strings.HasPrefix(body, lines) != request.text ||
			(answer.Header().Get("Content-Type") == TextType) != request.text || strings.Contains(body, secretText) || len(body) > 4<<10 {
			t.Errorf("%s: %d %s, %d bytes: %s", name, answer.Code, answer.Header().Get("Content-Type"), len(body), body)
		}
		if request.text && !strings.HasSuffix(body,
			"[-]evidence failed: no evidence: mount /dev/sev-guest\n[-]vault failed: not ready, see the log of skr\nreadyz check failed\n") {
			t.Errorf("%s: %s", name, body)
		}
	}
}

func TestNew(t *testing.T) {
	fine := func() error { return nil }
	for name, parts := range map[string][]Part{
		"empty name": {{Name: "", Err: fine}},
		"bad name":   {{Name: "host:8080", Err: fine}},
		"twice":      {{Name: "audit", Err: fine}, {Name: "audit", Err: fine}},
		"no check":   {{Name: "audit"}},
	} {
		if _, err := New(Config{Parts: parts}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A panic gives an error answer and a log line. Neither contains its value.
func TestCrash(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, Config{
		Logger:  slog.New(slog.NewJSONHandler(&log, nil)),
		Parts:   []Part{{Name: "audit", Err: func() error { panic(secretText) }}},
		Metrics: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(secretText) }),
	})
	for _, path := range []string{"/readyz", "/metrics"} {
		log.Reset()
		answer := ask(s, "GET", path)
		if answer.Code != 500 || !strings.Contains(answer.Body.String(), `"code":"internal"`) {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
		if !strings.Contains(log.String(), "panic with a string") || strings.Contains(log.String(), secretText) {
			t.Errorf("%s: the log is %s", path, log.String())
		}
	}
}

// A scrape that hangs ends for its caller. The number of scrapes is limited.
func TestScrapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		s := newServer(t, Config{Metrics: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck })})
		begin := time.Now()
		for range maxScrapes {
			answer := ask(s, "GET", "/metrics")
			if answer.Code != 503 || !strings.Contains(answer.Body.String(), `"code":"timeout"`) {
				t.Errorf("%d %s", answer.Code, answer.Body)
			}
			if media := answer.Header().Get("Content-Type"); media != "application/json; charset=utf-8" {
				t.Errorf("Content-Type %q", media)
			}
		}
		if took := time.Since(begin); took != maxScrapes*scrapeTimeout {
			t.Errorf("the scrapes took %v", took)
		}
		answer := ask(s, "GET", "/metrics")
		if answer.Code != 503 || !strings.Contains(answer.Body.String(), `"code":"throttled"`) {
			t.Errorf("one more: %d %s", answer.Code, answer.Body)
		}
		close(stuck)
		synctest.Wait()
		if answer := ask(s, "GET", "/metrics"); answer.Code != 200 {
			t.Errorf("later: %d %s", answer.Code, answer.Body)
		}
	})
}

func serve(t *testing.T, s *Server) (address string, stop func() error) {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, socket) }()
	return socket.Addr().String(), func() error { cancel(); return <-ended }
}

func TestServe(t *testing.T) {
	address, stop := serve(t, newServer(t, Config{Metrics: text}))
	answer, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if body, err := io.ReadAll(answer.Body); err != nil || string(body) != "skr_ready 1\n" || !answer.Close {
		t.Errorf("%q, %v, closed %v", body, err, answer.Close)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("the server still listens")
	}
}

func TestOversizedHeader(t *testing.T) {
	address, stop := serve(t, newServer(t, Config{}))
	defer stop() //nolint:errcheck // as in TestServe
	request, err := http.NewRequest(http.MethodGet, "http://"+address+"/livez", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Long", strings.Repeat("x", 2*maxHeader))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", answer.StatusCode)
	}
}

// A request that does not end is cut off after the grace period and reported as an error.
func TestGrace(t *testing.T) {
	stuck, entered := make(chan struct{}), make(chan struct{})
	defer close(stuck)
	c := Config{Grace: time.Millisecond, Parts: []Part{{Name: "audit", Err: func() error { close(entered); <-stuck; return nil }}}}
	address, stop := serve(t, newServer(t, c))
	go http.Get("http://" + address + "/readyz") //nolint:errcheck // the request never ends
	<-entered
	if err := stop(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// A broken listener ends Serve.
func TestBrokenListener(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = socket.Close()
	if err := newServer(t, Config{}).Serve(t.Context(), socket); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// TestProbed checks that probes are reported, and requests of others are not.
func TestProbed(t *testing.T) {
	probes := 0
	s := newServer(t, Config{Metrics: text, Doctor: text, Probed: func() { probes++ }})
	for path, want := range map[string]int{"/livez": 1, "/readyz": 1, "/metrics": 0, "/doctor": 0, "/": 0} {
		before := probes
		if ask(s, http.MethodGet, path); probes != before+want {
			t.Errorf("%s: %d probes, want %d", path, probes-before, want)
		}
	}
}
