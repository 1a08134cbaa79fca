package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"skr/api"
	"skr/hsm"
	"skr/internal/keyuse"
	"skr/internal/refusal"
	"skr/internal/sidecar/access"
	"skr/internal/sidecar/follow"
	"skr/internal/sidecar/limit"
	"skr/keyrelease"
)

var (
	firstVersion  = strings.Repeat("1", 32)
	secondVersion = strings.Repeat("2", 32)
)

// board is a Watch whose version a test sets.
type board struct {
	mu      sync.Mutex
	version string
	no      error // of a board without a version
	changed chan struct{}
	saw     []string
}

func newBoard(version string) *board { return &board{version: version, changed: make(chan struct{})} }

func (b *board) set(version string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.version = version
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *board) Wait(ctx context.Context, _, known string) (follow.Version, error) {
	for {
		b.mu.Lock()
		version, no, changed := b.version, b.no, b.changed
		b.mu.Unlock()
		seen := follow.Version{ID: "https://contoso.vault.azure.net/keys/orders/" + version, Version: version}
		if no != nil {
			return follow.Version{}, no
		}
		if version != known {
			return seen, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return seen, nil
		}
	}
}

func (b *board) Saw(alias string, key *hsm.Key) { b.saw = append(b.saw, alias+" "+key.ID()) }

// watching is a server with a board, and an alias whose key stays in the sidecar.
func watching(t *testing.T, b *board, change func(*Config)) *Server {
	t.Helper()
	kept, err := keyuse.ParseRights([]string{"sign"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return newServer(t, newPipeline(t), func(c *Config) {
		c.Watch = b
		c.Aliases = map[string]keyrelease.Request{"orders": named(t, c, "orders"), "bills": named(t, c, "bills")}
		c.Rights = map[string]keyuse.Rights{"orders": kept}
		if change != nil {
			change(c)
		}
	})
}

func watchRequest(query string) *http.Request {
	return newRequest(http.MethodGet, api.RouteWatch+"?"+query, "")
}

// A key that stays in the sidecar can be watched: the answer has its version and nothing else.
func TestWatch(t *testing.T) {
	response := ask(t, watching(t, newBoard(firstVersion), nil), watchRequest("alias=orders&version="+secondVersion))
	text, err := io.ReadAll(response.Body)
	want := `{"kid":"https://contoso.vault.azure.net/keys/orders/` + firstVersion + `","version":"` + firstVersion + "\"}\n"
	if err != nil || response.StatusCode != http.StatusOK || string(text) != want {
		t.Errorf("%d %s, %v", response.StatusCode, text, err)
	}
}

// A request waits for its time and not for that of other requests, and ends when the version
// changes. While it waits it has no place of the gate.
func TestWatchWaits(t *testing.T) {
	b := newBoard(firstVersion)
	gate := limit.New(limit.Config{MaxConcurrent: 1, MaxQueued: 1})
	s := watching(t, b, func(c *Config) { c.Gate = gate })
	synctest.Test(t, func(t *testing.T) {
		b.changed = make(chan struct{}) // of this bubble
		begun := time.Now()
		response := ask(t, s, watchRequest("alias=orders&timeout=5m&version="+firstVersion))
		if took := time.Since(begun); response.StatusCode != http.StatusOK || took != 5*time.Minute {
			t.Errorf("%d after %v", response.StatusCode, took)
		}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if response := ask(t, s, watchRequest("alias=orders&version="+firstVersion)); response.StatusCode != http.StatusOK {
					t.Errorf("%d", response.StatusCode)
				}
			})
			synctest.Wait()
		}
		if running, _ := gate.Load(); running != 0 || s.Watchers() != 10 {
			t.Errorf("%d places are taken, %d requests wait", running, s.Watchers())
		}
		changed := time.Now()
		b.set(secondVersion)
		all.Wait()
		if !time.Now().Equal(changed) || s.Watchers() != 0 {
			t.Errorf("answered %v later; %d wait", time.Since(changed), s.Watchers())
		}
	})
}

func TestWatchIsRefused(t *testing.T) {
	s := watching(t, newBoard(firstVersion), nil)
	for query, want := range map[string]string{
		"":                                   "missing",
		"alias=":                             "missing",
		"alias=none":                         "names none",
		"alias=orders&alias=bills":           "more than once",
		"alias=orders&Version=1":             "unknown",
		"alias=orders&version=../1":          "not a version",
		"alias=orders&timeout=0s":            "timeout",
		"alias=orders&timeout=11m":           "timeout",
		"alias=orders&timeout=-1s":           "timeout",
		"alias=orders&timeout=30":            "timeout",
		"alias=orders&timeout=9999999999999": "timeout",
		"alias=%zz":                          "malformed",
		"alias=orders;version=1":             "malformed",
	} {
		recorder := httptest.NewRecorder()
		s.ServeHTTP(recorder, watchRequest(query))
		refused := readError(t, recorder.Result(), http.StatusBadRequest, api.BadRequest)
		if !strings.Contains(refused.Message, want) {
			t.Errorf("%s: %s", query, refused.Message)
		}
	}
	if response := ask(t, s, newRequest(http.MethodPost, api.RouteWatch, "{}")); response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", response.StatusCode)
	}
	page := watchRequest("alias=orders")
	page.Header.Set("Origin", "https://evil.example")
	readError(t, ask(t, s, page), http.StatusForbidden, api.CallerNotAllowed)
	failing := newBoard("")
	failing.no = &refusal.Error{Kind: refusal.Throttled, Reason: "slower", RetryAfter: 7 * time.Second}
	for _, accept := range []string{"", mediaEvents} {
		r := watchRequest("alias=orders")
		r.Header.Set("Accept", accept)
		response := ask(t, watching(t, failing, nil), r)
		readError(t, response, http.StatusServiceUnavailable, api.Throttled)
		if got := response.Header.Get("Retry-After"); got != "7" {
			t.Errorf("Retry-After %q", got)
		}
	}
}

// The route and the alias are those of the access section.
func TestWatchAccess(t *testing.T) {
	dir := t.TempDir()
	token := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("token-of-the-"+name), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	policy, err := access.New(access.Config{
		Rules: []access.Rule{
			{Name: "app", TokenFile: token("app"), Routes: []string{api.RouteWatch}, Keys: []string{"orders"}},
			{Name: "other", TokenFile: token("other"), Routes: []string{api.RouteRelease}, Keys: []string{"*"}},
		},
		Routes: api.Routes(), Keys: []string{"orders", "bills"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := watching(t, newBoard(firstVersion), func(c *Config) { c.Access = policy })
	for _, c := range []struct {
		name, alias string
		status      int
	}{
		{"app", "orders", 200}, {"app", "bills", 403}, {"app", "none", 403}, {"other", "orders", 403}, {"nobody", "orders", 403}, {"", "orders", 403},
	} {
		for _, accept := range []string{"", mediaEvents} {
			if c.status == 200 && accept != "" {
				continue // it does not end
			}
			r := watchRequest("alias=" + c.alias)
			r.Header.Set("Accept", accept)
			if c.name != "" {
				r.Header.Set("Authorization", "Bearer token-of-the-"+c.name)
			}
			if response := ask(t, s, r); response.StatusCode != c.status {
				t.Errorf("%s %s %s: %d", c.name, c.alias, accept, response.StatusCode)
			}
		}
	}
}

// A flood of one caller leaves room for others, and its places come back.
func TestWatchersAreBounded(t *testing.T) {
	w := newWatchers(8)
	var leave []func()
	for range 100 {
		if done, err := w.enter("flooder"); err == nil {
			leave = append(leave, done)
		} else if !errors.Is(err, refusal.Throttled) {
			t.Fatal(err)
		}
	}
	if len(leave) != 4 {
		t.Errorf("one caller has %d of 8", len(leave))
	}
	done, err := w.enter("other")
	if err != nil {
		t.Fatal("there is no room for another caller")
	}
	done()
	for _, f := range leave {
		f()
		f() // no effect
	}
	if w.load() != 0 || len(w.callers) != 0 {
		t.Errorf("%d wait, %d callers", w.load(), len(w.callers))
	}
}

// streaming serves b until the test ends, and returns a client, and what stops the server.
func streaming(t *testing.T, s *Server) (client *http.Client, stop func() error) {
	listener := newPipes()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, &Listener{[]net.Listener{listener}}) }()
	return listener.client(), func() error { cancel(); return <-served }
}

func connect(t *testing.T, client *http.Client, query, last string) (*http.Response, *bufio.Reader) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+api.RouteWatch+"?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", mediaEvents)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return response, bufio.NewReader(response.Body)
}

// A stream has an event for each version, comments in between, and ends cleanly with the server.
func TestWatchStream(t *testing.T) {
	b := newBoard(firstVersion)
	s := watching(t, b, nil)
	synctest.Test(t, func(t *testing.T) {
		b.changed = make(chan struct{})
		s.stopping, s.stop = context.WithCancel(context.Background())
		client, stop := streaming(t, s)
		response, body := connect(t, client, "alias=orders", "")
		if got := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || got != mediaEvents || response.Header.Get("X-Request-Id") == "" ||
			response.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %v", response.StatusCode, response.Header)
		}
		want := func(lines ...string) {
			t.Helper()
			for _, line := range append(lines, "") {
				if got, err := body.ReadString('\n'); strings.TrimSuffix(got, "\n") != line || err != nil {
					t.Fatalf("got %q, %v; want %q", got, err, line)
				}
			}
		}
		event := func(version string) {
			t.Helper()
			want("event: version", "id: "+version, `data: {"kid":"https://contoso.vault.azure.net/keys/orders/`+version+`","version":"`+version+`"}`)
		}
		want("retry: 3000")
		event(firstVersion)
		begun := time.Now()
		want(": no change")
		if took := time.Since(begun); took != heartbeat {
			t.Errorf("a comment after %v", took)
		}
		b.set(secondVersion)
		event(secondVersion)
		response2, body2 := connect(t, client, "alias=orders", secondVersion) // a client that comes back
		if text, err := body2.ReadString(':'); err != nil || !strings.HasPrefix(text, "retry:") {
			t.Errorf("%q, %v", text, err)
		}
		if text, _ := body2.ReadString('g'); strings.Contains(text, "event") {
			t.Errorf("an event for what the client knows: %q", text)
		}
		_ = response2.Body.Close()
		ended := make(chan error, 1)
		go func() { // a pipe has no buffer for the end of the stream
			_, err := io.ReadAll(body)
			ended <- err
		}()
		begun = time.Now()
		if err := stop(); err != nil || time.Since(begun) > time.Second {
			t.Errorf("the server stopped with %v after %v", err, time.Since(begun))
		}
		if err := <-ended; err != nil {
			t.Errorf("the stream ended with %v", err)
		}
		synctest.Wait()
		if s.Watchers() != 0 {
			t.Errorf("%d still wait", s.Watchers())
		}
	})
}

// A request that waits is answered when the server stops.
func TestWatchEndsWithTheServer(t *testing.T) {
	b := newBoard(firstVersion)
	s := watching(t, b, nil)
	synctest.Test(t, func(t *testing.T) {
		b.changed = make(chan struct{})
		s.stopping, s.stop = context.WithCancel(context.Background())
		client, stop := streaming(t, s)
		answered := make(chan int, 1)
		go func() {
			response, err := client.Get("http://localhost" + api.RouteWatch + "?alias=orders&timeout=10m&version=" + firstVersion)
			if err != nil {
				t.Error(err)
				answered <- 0
				return
			}
			_ = response.Body.Close()
			answered <- response.StatusCode
		}()
		synctest.Wait()
		begun := time.Now()
		if err := stop(); err != nil || time.Since(begun) > time.Second {
			t.Errorf("stopped with %v after %v", err, time.Since(begun))
		}
		if status := <-answered; status != http.StatusOK {
			t.Errorf("answered %d", status)
		}
	})
}

// A caller that leaves gives its place back. One that loses its right loses its stream.
func TestStreamEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("token-of-the-app")
	policy, err := access.New(access.Config{
		Rules:  []access.Rule{{Name: "app", TokenFile: path, Routes: []string{api.RouteWatch}, Keys: []string{"orders"}}},
		Routes: api.Routes(), Keys: []string{"orders", "bills"},
	})
	if err != nil {
		t.Fatal(err)
	}
	b := newBoard(firstVersion)
	s := watching(t, b, func(c *Config) { c.Access = policy })
	synctest.Test(t, func(t *testing.T) {
		b.changed = make(chan struct{})
		s.stopping, s.stop = context.WithCancel(context.Background())
		client, stop := streaming(t, s)
		defer stop() //nolint:errcheck // tested above
		connect := func(ctx context.Context) *http.Response {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+api.RouteWatch+"?alias=orders", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", mediaEvents)
			r.Header.Set("Authorization", "Bearer token-of-the-app")
			response, err := client.Do(r)
			if err != nil || response.StatusCode != http.StatusOK {
				t.Fatal(response, err)
			}
			return response
		}
		ctx, leave := context.WithCancel(t.Context())
		connect(ctx)
		synctest.Wait()
		if s.Watchers() != 1 {
			t.Fatalf("%d wait", s.Watchers())
		}
		leave()
		synctest.Wait()
		if s.Watchers() != 0 {
			t.Error("a caller that left still waits")
		}
		response := connect(t.Context())
		write("token-of-somebody-else")
		b.set(secondVersion)
		if text, err := io.ReadAll(response.Body); err != nil || strings.Contains(string(text), secondVersion) {
			t.Errorf("the stream goes on: %q, %v", text, err)
		}
	})
}

// A release by alias is told to those who wait, unless it names a version.
func TestReleasesAreSeen(t *testing.T) {
	b := newBoard(firstVersion)
	s := watching(t, b, nil)
	for _, body := range []string{`{"alias":"bills"}`, names("bills")} {
		if response := ask(t, s, newRequest(http.MethodPost, api.RouteRelease, body)); response.StatusCode != http.StatusOK {
			t.Fatal(response.StatusCode)
		}
	}
	if len(b.saw) != 1 || b.saw[0] != "bills "+keyID {
		t.Errorf("saw %q", b.saw)
	}
}

// The parser accepts no version, time or name that another parser reads otherwise.
func FuzzParseWatch(f *testing.F) {
	for _, query := range []string{"alias=orders", "alias=a&version=0123&timeout=1m", "alias=a&alias=b", "alias=a;b", "%", "timeout=1e9h&alias=a", "alias=%00"} {
		f.Add(query, "", "")
	}
	f.Add("alias=a", mediaEvents, "x\ny")
	f.Fuzz(func(t *testing.T, query, accept, last string) {
		want, err := parseWatch(query, http.Header{"Accept": {accept}, "Last-Event-Id": {last}})
		if err != nil {
			if !errors.Is(err, refusal.BadRequest) {
				t.Errorf("got %v", err)
			}
			return
		}
		if want.alias == "" || want.timeout < shortestWatch || want.timeout > longestWatch || strings.ContainsAny(want.known, "\r\n/ ") {
			t.Errorf("got %+v", want)
		}
	})
}
