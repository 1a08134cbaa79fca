package httpclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"skr/internal/refusal"
)

// newCounted starts a TLS server that counts its connections.
func newCounted(t *testing.T) (host string, pool *x509.CertPool, connections *atomic.Int32) {
	t.Helper()
	connections = new(atomic.Int32)
	server := httptest.NewUnstartedServer(http.HandlerFunc(echoHost))
	server.EnableHTTP2 = true
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	pool = x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return strings.TrimPrefix(server.URL, "https://"), pool, connections
}

// A request uses the connection made ahead, whether it is ready yet or not. There is no
// second one.
func TestConnectAhead(t *testing.T) {
	for _, wait := range []bool{false, true} {
		host, pool, connections := newCounted(t)
		transport := NewTransport(TransportConfig{Roots: pool})
		transport.Connect(t.Context(), host)
		transport.Connect(t.Context(), host)
		if wait {
			<-transport.ahead.early[host].done
		}
		client, _ := newImpatient(Config{Service: "the vault", Transport: transport})
		answer, err := client.Do(t.Context(), Request{URL: "https://" + host})
		if err != nil || !strings.HasPrefix(string(answer.Body), "HTTP/2.0 ") {
			t.Fatalf("got %v, %v; want HTTP/2", answer, err)
		}
		transport.Connect(t.Context(), host)
		if len(transport.ahead.early) != 0 || connections.Load() != 1 {
			t.Errorf("%d connections, %d in progress; want one", connections.Load(), len(transport.ahead.early))
		}
	}
}

// If a connection ahead of a request fails, the request tries again and reports the error.
func TestConnectAheadFails(t *testing.T) {
	host, _, connections := newCounted(t)
	transport := NewTransport(TransportConfig{Roots: x509.NewCertPool()})
	transport.Connect(t.Context(), host)
	<-transport.ahead.early[host].done
	client, _ := newImpatient(Config{Service: "the vault", Transport: transport})
	_, err := client.Do(t.Context(), Request{URL: "https://" + host})
	checkRefusal(t, err, refusal.Untrusted, 0)
	if connections.Load() != 2 {
		t.Errorf("%d connections, want 2", connections.Load())
	}
}

// An unused connection is closed.
func TestConnectAheadIsAbandoned(t *testing.T) {
	host, pool, _ := newCounted(t)
	transport := NewTransport(TransportConfig{Roots: pool})
	transport.Connect(t.Context(), host)
	e := transport.ahead.early[host]
	<-e.done
	transport.ahead.abandon(host, e)
	if _, err := e.conn.Write([]byte("x")); err == nil {
		t.Error("the connection is still open")
	}
	if len(transport.ahead.early) != 0 {
		t.Error("the connection is still recorded")
	}
}

func TestConnectAheadIsBounded(t *testing.T) {
	block := make(chan struct{})
	defer close(block)
	a := newAhead(func(context.Context, string, string) (net.Conn, error) { <-block; return nil, net.ErrClosed }, &tls.Config{MinVersion: tls.VersionTLS12})
	for i := range 3 * maxAhead {
		a.begin("", strings.Repeat("x", i)+".example:443")
		a.answered("", strings.Repeat("x", i)+".example:443")
	}
	if len(a.early) != maxAhead || a.last.Len() > maxAhead {
		t.Errorf("%d in progress, %d recorded; want %d", len(a.early), a.last.Len(), maxAhead)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := a.dialTLS(ctx, "tcp", ".example:443"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a caller that waited beyond its deadline got %v", err)
	}
}

// A proxy makes its own connections.
func TestConnectAheadHeedsTheProxy(t *testing.T) {
	transport := NewTransport(TransportConfig{})
	transport.base.Proxy = func(*http.Request) (*url.URL, error) { return &url.URL{Scheme: "http", Host: "proxy.example"}, nil }
	transport.Connect(t.Context(), "contoso.vault.azure.net")
	if len(transport.ahead.early) != 0 {
		t.Error("the connection bypassed the proxy")
	}
}
