package server

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"skr/api"
	"skr/hsm"
	"skr/internal/observe/journal"
	"skr/internal/sidecar/limit"
	"skr/keyrelease"
)

// keeping answers like a Releaser that has the key in its cache.
type keeping struct {
	key    *hsm.Key
	lookup *journal.Lookup
}

func (k keeping) Release(ctx context.Context, _ keyrelease.Request) (*hsm.Key, error) {
	if k.lookup != nil {
		journal.Found(ctx, *k.lookup)
	}
	return k.key.Clone(), nil
}

// discard is a response writer that reuses its header.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// BenchmarkKeptKey measures the server's own share of a release of a cached key: every check
// of caller and request, the answer and the log line.
func BenchmarkKeptKey(b *testing.B) {
	rsaKey := `{"kty":"RSA","n":"` + strings.Repeat("x", 512) + `","d":"` + strings.Repeat("y", 1200) + `","kid":"https://contoso.vault.azure.net/keys/demo/1"}`
	s := newServer(b, newPipeline(b), func(c *Config) {
		c.Releases = keeping{newKey(rsaKey), &journal.Lookup{Cache: journal.Key, Hit: true}}
		c.Gate = limit.New(limit.Config{Rate: 1e9})
		c.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // the benchmark includes the line
	})
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		s.ServeHTTP(w, newRequest(http.MethodPost, api.RouteRelease, good[api.RouteRelease]))
	}
}

// events records the order in which a caller and the log learn about a request.
type events struct {
	slog.Handler
	http.ResponseWriter

	heard []string
}

func (e *events) Flush()                                 { e.heard = append(e.heard, "answer") }
func (*events) Enabled(context.Context, slog.Level) bool { return true }
func (e *events) Handle(_ context.Context, r slog.Record) error {
	e.heard = append(e.heard, r.Message)
	return nil
}

// The caller gets the answer before its log line is written.
func TestAnswerComesBeforeItsLine(t *testing.T) {
	e := &events{Handler: slog.DiscardHandler, ResponseWriter: discard{http.Header{}}}
	s := newServer(t, newPipeline(t), func(c *Config) {
		c.Releases = keeping{newKey(`{"kty":"oct"}`), nil}
		c.Logger = slog.New(e)
	})
	s.ServeHTTP(e, newRequest(http.MethodPost, api.RouteRelease, good[api.RouteRelease]))
	if !slices.Equal(e.heard, []string{"answer", "request"}) {
		t.Errorf("heard %q", e.heard)
	}
}

// Each answer with a key names its origin if the key cache is on.
func TestOrigin(t *testing.T) {
	for want, lookup := range map[string]*journal.Lookup{
		"hit 7":   {Cache: journal.Key, Hit: true, Age: 7999 * time.Millisecond},
		"stale 1": {Cache: journal.Key, Hit: true, Stale: true, Age: time.Second},
		"miss 0":  {Cache: journal.Key},
		" ":       nil,
	} {
		s := newServer(t, newPipeline(t), func(c *Config) { c.Releases = keeping{newKey(jwkText), lookup} })
		response := ask(t, s, newRequest(http.MethodPost, api.RouteRelease, good[api.RouteRelease]))
		if got := response.Header.Get("X-Cache") + " " + response.Header.Get("Age"); got != want || response.StatusCode != http.StatusOK {
			t.Errorf("status %d, %q, want %q", response.StatusCode, got, want)
		}
	}
}
