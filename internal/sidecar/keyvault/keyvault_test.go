package keyvault

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// newHandler returns a handler in front of local, and the token that it accepts.
func newHandler(t *testing.T, local http.HandlerFunc, names ...string) (*Handler, string) {
	t.Helper()
	dir := t.TempDir()
	identity, err := NewIdentity(dir, names, false, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(dir, TokenFile))
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{Local: local, Identity: identity}), string(token)
}

// TestNoTokenWithAccess checks that no token is left that the access section does not know.
func TestNoTokenWithAccess(t *testing.T) {
	dir := t.TempDir()
	for _, byAccess := range []bool{true, false, true} {
		if _, err := NewIdentity(dir, nil, byAccess, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, TokenFile)); os.IsNotExist(err) != byAccess {
			t.Errorf("by access %v: %v", byAccess, err)
		}
	}
}

// TestNamesInAnyCapitals checks that a name of crypto_names is accepted as its operator wrote it.
func TestNamesInAnyCapitals(t *testing.T) {
	h, token := newHandler(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "Keys.Contoso")
	for host, refused := range map[string]bool{"keys.contoso:8443": false, "KEYS.contoso": false, "localhost": false, "other": true} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/keys/orders", nil)
		r.Host = host
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := strings.Contains(w.Body.String(), "crypto_names"); got != refused {
			t.Errorf("host %s: %s", host, w.Body)
		}
	}
}

// TestBodies checks that a body that cannot be used has one clear error, and asks for nothing.
func TestBodies(t *testing.T) {
	h, token := newHandler(t, func(http.ResponseWriter, *http.Request) { t.Error("the body reached the server") })
	for body, want := range map[string]string{
		"":                             "the body is not JSON",
		"[]":                           "the body is not a JSON object",
		`{"alg":1}`:                    "a member of the body is not a string",
		`{"kid":"x"}`:                  "the body has a member that is none of",
		strings.Repeat(" ", maxBody+1): "the body is larger than 65536 bytes",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/keys/orders/decrypt", strings.NewReader(body))
		r.Host = "localhost"
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"message":"`+want) {
			t.Errorf("%.20q: %d %s, want %q", body, w.Code, w.Body, want)
		}
	}
}

// TestSlowBody checks that a client that does not send its body is refused after ioTimeout.
func TestSlowBody(t *testing.T) {
	h, token := newHandler(t, func(http.ResponseWriter, *http.Request) { t.Error("the body reached the server") })
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
		served := make(chan error, 1)
		go func() { served <- server.Serve(&single{far, make(chan struct{})}) }()
		go func() {
			_, _ = io.WriteString(near, "POST /keys/orders/decrypt HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+token+
				"\r\nContent-Length: 99\r\n\r\n{")
		}()
		start := time.Now()
		answer := make([]byte, 4096)
		n, err := near.Read(answer)
		if err != nil || !strings.Contains(string(answer[:n]), "400 Bad Request") || time.Since(start) != ioTimeout {
			t.Errorf("after %v: %q, %v", time.Since(start), answer[:n], err)
		}
		go func() { _, _ = io.Copy(io.Discard, near) }()
		_ = server.Close()
		_ = near.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// single is a listener with one connection.
type single struct {
	conn   net.Conn
	closed chan struct{}
}

func (s *single) Accept() (net.Conn, error) {
	if conn := s.conn; conn != nil {
		s.conn = nil
		return conn, nil
	}
	<-s.closed
	return nil, net.ErrClosed
}

func (s *single) Close() error {
	close(s.closed)
	return nil
}

func (s *single) Addr() net.Addr { return &net.TCPAddr{} }
