package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"skr/internal/check"
	"skr/internal/refusal"
)

func endless(w http.ResponseWriter, _ *http.Request) {
	for {
		if _, err := w.Write(bytes.Repeat([]byte("a"), 1<<10)); err != nil {
			return
		}
	}
}

func elsewhere(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Location", "https://elsewhere.example/?"+canary)
	w.WriteHeader(http.StatusTemporaryRedirect)
}

func rude(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte(text))
		_ = conn.Close()
	}
}

var hostile = map[string]struct {
	handler http.HandlerFunc
	want    string
}{
	"endless":   {endless, "the answer is longer than 1048576 bytes"},
	"elsewhere": {elsewhere, "the answer is a redirect (307), which is not followed"},
	"closed":    {rude(""), "the connection ended without a complete HTTP answer"},
	"no HTTP":   {rude("SSH-2.0-" + canary + "\r\n"), "the connection ended without a complete HTTP answer"},
	"truncated": {rude("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + canary), "the connection ended without a complete HTTP answer"},
	"header": {
		rude("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 1<<20) + "\r\n\r\n"), "the connection ended without a complete HTTP answer",
	},
}

// A hostile server in the place of a sidecar ends the run in one line, and repeats nothing that it sent.
func TestHostileFromTheStart(t *testing.T) {
	for name, c := range hostile {
		t.Run(name, func(t *testing.T) {
			_, err := against(t, c.handler, nil)
			if !errors.Is(err, refusal.Untrusted) || err.Error() == "" {
				t.Fatal(err)
			}
			r, _ := errors.AsType[*refusal.Error](err)
			if r.Reason != "GET /status: "+c.want {
				t.Errorf("%q", r.Reason)
			}
			if text := err.Error(); strings.Contains(text, canary) || strings.Contains(text, "\n") || len(text) > 300 {
				t.Errorf("%.400q", text)
			}
		})
	}
}

// A sidecar that is hostile on one route differs there, and the other checks are made.
func TestHostileRoute(t *testing.T) {
	sidecar := newReference(t)
	for name, c := range hostile {
		t.Run(name, func(t *testing.T) {
			report, err := against(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/attest/combined" {
					c.handler(w, r)
					return
				}
				sidecar.ServeHTTP(w, r)
			}), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := resultOf(report, "combined", Reference); got.Outcome != check.Failed || got.Found != "the reference's contract: "+c.want {
				t.Errorf("%+v", got)
			}
			if got := resultOf(report, "release", Reference); got.Outcome != check.OK {
				t.Errorf("%+v", got)
			}
			shows(t, report)
		})
	}
}

// piped serves a handler over pipes, whose time a test controls.
type piped struct{ connections chan net.Conn }

func (p piped) Accept() (net.Conn, error) {
	c, open := <-p.connections
	if !open {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p piped) Close() error { return nil }
func (piped) Addr() net.Addr { return &net.TCPAddr{} }

// slowly runs all checks against a handler over pipes.
func slowly(t *testing.T, h http.HandlerFunc) (report *Report, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		listener := piped{make(chan net.Conn)}
		server := &http.Server{Handler: h, ReadHeaderTimeout: time.Hour}
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(listener) }()
		c := full(t)
		c.Timeout = time.Minute
		sender := newSender(c.Sidecar)
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			client, remote := net.Pipe()
			listener.connections <- remote
			return client, nil
		}}
		sender.client.Transport = transport
		report, err = runWith(t.Context(), c, sender)
		transport.CloseIdleConnections()
		close(listener.connections)
		_ = server.Close()
		if ended := <-ended; !errors.Is(ended, net.ErrClosed) && !errors.Is(ended, http.ErrServerClosed) {
			t.Error(ended)
		}
	})
	return report, err
}

// A sidecar that answers too late ends the run: at once if it is the first answer, and otherwise the
// checks that remain are skipped. One that sends a byte now and then is no better.
func TestSlow(t *testing.T) {
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	drip := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte(" "))
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
		}
	}
	for name, handler := range map[string]http.HandlerFunc{"silent": silent, "drip": drip} {
		t.Run(name, func(t *testing.T) {
			_, err := slowly(t, handler)
			if !errors.Is(err, refusal.Timeout) || !strings.Contains(err.Error(), "GET /status: no complete answer within 1m0s") {
				t.Errorf("from the start: %v", err)
			}
			requests := 0
			report, err := slowly(t, func(w http.ResponseWriter, r *http.Request) {
				if requests++; requests > 1 {
					handler(w, r)
					return
				}
				gin(w, http.StatusOK, `{"message":"Status OK"}`)
			})
			if err != nil {
				t.Fatal(err)
			}
			if requests != 2 || report.Requests != 2 {
				t.Errorf("%d requests", requests)
			}
			if got := resultOf(report, "status-slash", Own); got.Found != "skr's contract: no complete answer within 1m0s" {
				t.Errorf("%+v", got)
			}
			got := resultOf(report, "raw", Reference)
			if got.Outcome != check.Skipped || got.Found != "not sent: a request before had no answer in time" {
				t.Errorf("%+v", got)
			}
		})
	}
}

// No sidecar is another end than a wrong one.
func TestNothingListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address, err := ParseAddress("http://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	_, err = Run(t.Context(), Config{Sidecar: address, Timeout: time.Minute})
	if !errors.Is(err, refusal.Unavailable) || !strings.Contains(fmt.Sprint(err), "cannot connect: ") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = Run(ctx, Config{Sidecar: address, Timeout: time.Minute}); !errors.Is(err, refusal.Timeout) {
		t.Error(err)
	}
}

// A report has no name of a host, in a failure to resolve it neither.
func TestUnknownHost(t *testing.T) {
	f := failed(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: canary, Server: canary}}, time.Minute)
	if f.kind != refusal.Unavailable || f.text != "cannot connect: the name of the sidecar's host does not resolve" {
		t.Errorf("%+v", f)
	}
}
