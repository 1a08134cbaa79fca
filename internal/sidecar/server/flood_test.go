package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"skr/api"
	"skr/internal/observe/journal"
	"skr/internal/sidecar/limit"
)

// callStalled starts a gRPC call that never sends its message and returns its status.
func callStalled(ctx context.Context, address, host string) (status string, err error) {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	message, stalled := io.Pipe()
	defer func() { _ = stalled.Close() }()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+RouteUnwrap, message)
	if err != nil {
		return "", err
	}
	request.Host = host
	request.Header.Set("Content-Type", "application/grpc")
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	return response.Header.Get("Grpc-Status") + response.Trailer.Get("Grpc-Status"), err
}

// A call is refused after its header. The refusal is logged, and the server does not wait for the message.
func TestNothingIsReadBeforeAdmission(t *testing.T) {
	told := make(chan journal.Outcome, 1)
	conn, _ := serveGRPC(t, newPipeline(t), func(c *Config) { c.Finished = func(o journal.Outcome) { told <- o } })
	status, err := callStalled(t.Context(), conn.Target(), "evil.example")
	if status != "7" || err != nil { // PERMISSION_DENIED
		t.Errorf("status %q, %v", status, err)
	}
	if o := <-told; o.Code != string(api.CallerNotAllowed) || o.Route != RouteUnwrap {
		t.Errorf("outcome %+v", o)
	}
}

// A message that does not arrive ends at the deadline, even if the caller stays.
func TestStalledCallEnds(t *testing.T) {
	told := make(chan journal.Outcome, 1)
	conn, _ := serveGRPC(t, newPipeline(t), func(c *Config) {
		c.Deadline = 50 * time.Millisecond
		c.Finished = func(o journal.Outcome) { told <- o }
	})
	if status, err := callStalled(t.Context(), conn.Target(), "localhost"); status != "4" || err != nil { // DEADLINE_EXCEEDED
		t.Errorf("status %q, %v", status, err)
	}
	if o := <-told; o.Code != string(api.Timeout) {
		t.Errorf("outcome %+v", o)
	}
}

// Calls that wait for a message occupy places, up to the limit.
func TestStalledCallsHavePlaces(t *testing.T) {
	const places = 4
	gate := limit.New(limit.Config{MaxConcurrent: 2 * places, MaxQueued: 2})
	conn, _ := serveGRPC(t, newPipeline(t), func(c *Config) { c.Gate = gate })
	ctx, end := context.WithCancel(t.Context())
	refused := make(chan string, 2*places)
	var all sync.WaitGroup
	for range 2 * places {
		all.Go(func() {
			if status, err := callStalled(ctx, conn.Target(), "localhost"); err == nil {
				refused <- status
			}
		})
	}
	for range 2*places - places - 1 { // one waits in the queue
		if status := <-refused; status != "8" { // RESOURCE_EXHAUSTED
			t.Errorf("status %s", status)
		}
	}
	end()
	all.Wait()
}

// A body takes memory as it arrives and leaves no copies.
func TestReadAll(t *testing.T) {
	long := strings.Repeat("secret", 20<<10)
	text, err := readAll(io.MultiReader(strings.NewReader(long[:100]), strings.NewReader(long[100:])))
	if err != nil || string(text) != long {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	text, err = readAll(io.MultiReader(strings.NewReader("begin"), &broken{}))
	if err == nil || string(text) != "begin" || cap(text) > usualBody {
		t.Errorf("%d bytes of %d, %v", len(text), cap(text), err)
	}
}

type broken struct{}

func (*broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

// The first of equal refusals get a line each. The others share one line with their number.
// Another caller's or another kind's refusals are not lost among them.
func TestEqualRefusalsShareALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		told := newRefusalLog(slog.New(slog.NewJSONHandler(&text, nil)))
		lines := 0
		tell := func(caller string, code api.Code, n int) {
			for i := range n {
				if told.logs(caller, code, "/key/release", fmt.Errorf("refusal %d", i)) {
					lines++
				}
			}
		}
		tell("uid 1", api.CallerNotAllowed, 10000)
		tell("uid 2", api.CallerNotAllowed, 1)
		tell("uid 1", api.BadRequest, 1)
		if lines != linesAtOnce+2 {
			t.Errorf("%d refusals have their own line", lines)
		}
		time.Sleep(firstCount)
		synctest.Wait()
		want := fmt.Sprintf(`"msg":"refusals","caller":"uid 1","code":"caller_not_allowed","count":%d,`+
			`"last_route":"/key/release","last_error":"refusal 9999"`, 10000-linesAtOnce)
		if strings.Count(text.String(), "\n") != 1 || !strings.Contains(text.String(), want) {
			t.Errorf("the log is %s", &text)
		}
		for i := range 10 * maxKinds {
			tell(fmt.Sprint("uid ", i), api.CallerNotAllowed, 100)
		}
		if len(told.kinds) > maxKinds+1 {
			t.Errorf("%d kinds are recorded", len(told.kinds))
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := strings.Count(text.String(), "\n"); n > 2*maxKinds {
			t.Errorf("%d lines", n)
		}
	})
}

// A caller that has used its lines gets no new ones because other callers arrive.
func TestNewKindsDoNotRestoreLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := newRefusalLog(slog.New(slog.DiscardHandler))
		tell := func(caller string, n int) (own bool) {
			for range n {
				own = told.logs(caller, api.CallerNotAllowed, "/key/release", errors.New("refused"))
			}
			return own
		}
		tell("flood", linesAtOnce+1)
		time.Sleep(firstCount)
		synctest.Wait() // the one above the limit is counted
		for i := range maxKinds {
			tell(fmt.Sprint("uid ", i), 1)
		}
		if tell("flood", 1) {
			t.Error("the flood has lines again")
		}
		time.Sleep(linesAtOnce * lineEvery)
		synctest.Wait()
		if !tell("new", 1) || told.kinds[refusalKind{"new", api.CallerNotAllowed}] == nil {
			t.Error("a new kind has no place although all others are idle")
		}
	})
}

// A cached key may be requested more often than one that the vault releases.
func TestKeptKeysCountForLess(t *testing.T) {
	for kept, want := range map[bool]int{true: 50, false: 2} {
		p := newPipeline(t)
		p.fail = func(ctx context.Context) error {
			journal.Looked(ctx, journal.Key, kept)
			return nil
		}
		s := newServer(t, p, func(c *Config) { c.Gate = limit.New(limit.Config{Rate: 2}) })
		answered := 0
		for range want {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, newRequest(http.MethodPost, api.RouteRelease, good[api.RouteRelease]))
			if w.Code == http.StatusOK {
				answered++
			}
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, newRequest(http.MethodPost, api.RouteRelease, good[api.RouteRelease]))
		if answered != want || (w.Code == http.StatusOK) != kept {
			t.Errorf("kept is %v: %d were answered, and the next one got %d", kept, answered, w.Code)
		}
	}
}
