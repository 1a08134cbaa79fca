package server

import (
	"bytes"
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"skr/api"
	"skr/internal/refusal"
	"skr/keyrelease"
)

// TestFallbackIsReported checks the answer, the log and the audit record.
func TestFallbackIsReported(t *testing.T) {
	for _, down := range []bool{false, true} {
		p, w := newPipeline(t), &auditor{}
		first := true
		p.fail = func(context.Context) error {
			defer func() { first = false }()
			if first && down {
				return refusal.Newf(refusal.Unavailable, "the region is gone")
			}
			return nil
		}
		var log *bytes.Buffer
		s := newServer(t, p, func(c *Config) {
			log = logTo(c)
			c.Auditor = w
			ways := []keyrelease.Request{named(t, c, "orders"), named(t, c, "orders-west")}
			c.Aliases = map[string]keyrelease.Request{"orders": keyrelease.WithFallbacks(ways)}
		})
		answer := httptest.NewRecorder()
		s.ServeHTTP(answer, newRequest("POST", api.RouteRelease, `{"alias":"orders"}`))
		header, key, field := "", "/keys/orders", false
		if down {
			header, key, field = "1", "/keys/orders-west", true
		}
		if answer.Code != 200 || answer.Header().Get(api.HeaderFallback) != header {
			t.Errorf("down %v: status %d, header %q", down, answer.Code, answer.Header().Get(api.HeaderFallback))
		}
		if len(w.keys) != 1 || !strings.HasSuffix(w.keys[0], key) {
			t.Errorf("down %v: the auditor recorded %v", down, w.keys)
		}
		if strings.Contains(log.String(), `"fallback":1`) != field {
			t.Errorf("down %v: the log is %s", down, log)
		}
	}
}
