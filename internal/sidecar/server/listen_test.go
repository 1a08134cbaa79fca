package server

import (
	"context"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skr/api"
)

func TestListenRefuses(t *testing.T) {
	taken := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for address, says := range map[string]string{
		":8080":             "only localhost",
		"0.0.0.0:8080":      "only localhost",
		"[::]:8080":         "only localhost",
		"10.0.0.1:8080":     "only localhost",
		"127.0.0.2:8080":    "only localhost",
		"example.test:8080": "only localhost",
		"localhost":         "host:port",
		"localhost:http":    "port",
		"localhost:70000":   "port",
		"":                  "host:port",
		"unix:relative":     "not absolute",
		"unix:":             "not absolute",
		"unix:" + taken:     "not a socket",
		"unix:/no/such/dir": "no such file",
	} {
		listener, err := Listen(t.Context(), address, OwnerOnly)
		if err == nil {
			_ = listener.Close()
			t.Errorf("%q was accepted", address)
		} else if !strings.Contains(err.Error(), says) {
			t.Errorf("%q is refused with %v, want %q", address, err, says)
		}
	}
	if _, err := os.Stat(taken); err != nil {
		t.Error("the file in place of the socket was removed")
	}
}

func hasIPv6(t *testing.T) bool {
	t.Helper()
	probe, err := open(t.Context(), "::1", 0)
	if err != nil {
		return false
	}
	_ = probe.Close()
	return true
}

func TestListenLocalhost(t *testing.T) {
	listener, err := Listen(t.Context(), "localhost:0", OwnerOnly)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	want := 1
	if hasIPv6(t) {
		want = 2
	}
	if len(listener.Sockets()) != want {
		t.Fatalf("%d sockets, want %d", len(listener.Sockets()), want)
	}
	_, port, _ := net.SplitHostPort(listener.String())
	for _, socket := range listener.Sockets() {
		host, other, _ := net.SplitHostPort(socket.Addr().String())
		if other != port || !net.ParseIP(host).IsLoopback() {
			t.Errorf("socket is %v, want port %s", socket.Addr(), port)
		}
	}
}

func TestListenPortTakenOnIPv6(t *testing.T) {
	if !hasIPv6(t) {
		t.Skip("this machine has no ::1")
	}
	stranger, err := open(t.Context(), "::1", 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stranger.Close() })
	_, port, _ := net.SplitHostPort(stranger.Addr().String())
	if listener, err := Listen(t.Context(), "localhost:"+port, OwnerOnly); err == nil {
		_ = listener.Close()
		t.Error("another program's port on ::1 was accepted")
	}
}

func TestListenUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "skr.sock")
	listener, err := Listen(t.Context(), "unix:"+path, OwnerOnly)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("mode is %v, error %v", info.Mode(), err)
	}
	if listener.String() != "unix:"+path {
		t.Errorf("String is %q", listener)
	}
	if _, err := Listen(t.Context(), "unix:"+path, OwnerOnly); err == nil || !strings.Contains(err.Error(), "this process itself listens on this socket") {
		t.Errorf("a live socket is refused with %v", err)
	}
	// A process that ends abruptly leaves its socket behind.
	aside := path + ".aside"
	if err := os.Rename(path, aside); err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil { // unlinks its path, which no longer exists
		t.Fatal(err)
	}
	if err := os.Rename(aside, path); err != nil {
		t.Fatal(err)
	}
	again, err := Listen(t.Context(), "unix:"+path, OwnerOnly)
	if err != nil {
		t.Fatalf("a stale socket: %v", err)
	}
	_ = again.Close()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket outlives its listener")
	}
}

// TestServe uses the real client over each kind of socket.
func TestServe(t *testing.T) {
	socket := "unix:" + filepath.Join(t.TempDir(), "skr.sock")
	for _, address := range []string{"localhost:0", "127.0.0.1:0", socket} {
		listener, err := Listen(t.Context(), address, OwnerOnly)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		s := newServer(t, newPipeline(t), nil)
		go func() { served <- s.Serve(ctx, listener) }()
		for _, each := range listener.Sockets() {
			base := "http://" + each.Addr().String()
			if address == socket {
				base = socket
			}
			askAll(t, base)
		}
		stop()
		if err := <-served; err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func askAll(t *testing.T, base string) {
	t.Helper()
	client, err := api.NewClient(api.Config{BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.WaitReady(t.Context()); err != nil {
		t.Error(err)
	}
	report, err := client.Report(t.Context(), []byte("hello"))
	if err != nil {
		t.Fatalf("%s: %v", base, err)
	}
	checkReport(t, report)
	evidence, err := client.Evidence(t.Context(), []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	checkReport(t, evidence.Report)
	token, err := client.Token(t.Context(), "sharedeus.eus.attest.azure.net", []byte("hello"))
	if err != nil || string(token) != tokenText {
		t.Errorf("token %q, error %v", string(token), err)
	}
	key, err := client.Release(t.Context(), api.ReleaseRequest{MAAEndpoint: "sharedeus.eus.attest.azure.net",
		AKVEndpoint: "contoso.vault.azure.net", KID: "demo", AccessToken: api.Secret(tokenText)})
	if err != nil || string(key) != jwkText {
		t.Errorf("key %q, error %v", string(key), err)
	}
}

// TestUnixTakesAnyHost checks any Host header: callers of a socket have no host name to send.
func TestUnixTakesAnyHost(t *testing.T) {
	s := newServer(t, newPipeline(t), nil)
	r := newRequest("GET", api.RouteStatus, "")
	r.Host = "anything"
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.UnixAddr{Net: "unix", Name: "/x"}))
	if got := ask(t, s, r).StatusCode; got != 200 {
		t.Errorf("answer is %d", got)
	}
	r.Header.Set("Origin", "http://evil.test")
	readError(t, ask(t, s, r), 403, api.CallerNotAllowed)
}
