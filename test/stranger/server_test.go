package stranger

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// intercept may answer in a server's place. It reports whether it did.
type intercept func(w http.ResponseWriter, r *http.Request) bool

// visit is one request as a server saw it.
type visit struct {
	server, host, method, path, query string
	header                            http.Header
	body                              []byte
}

// ledger holds every request that reached any server of the test.
type ledger struct {
	mu     sync.Mutex
	visits []visit
}

// watch records each request in the ledger before the server handles it.
func (l *ledger) watch(server string, before *intercept, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		r.Body = io.NopCloser(bytes.NewReader(body))
		l.note(visit{server, r.Host, r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Clone(), body})
		if before != nil && *before != nil && (*before)(w, r) {
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (l *ledger) note(v visit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.visits = append(l.visits, v)
}

// all returns the requests, oldest first.
func (l *ledger) all() []visit {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.visits)
}

// at returns the requests that reached one server.
func (l *ledger) at(server string) []visit {
	return slices.DeleteFunc(l.all(), func(v visit) bool { return v.server != server })
}

// holders returns the servers that received a secret in any part of a request.
func (l *ledger) holders(secret string) []string {
	var found []string
	for _, v := range l.all() {
		whole := v.host + v.path + v.query + string(v.body)
		for name, values := range v.header {
			whole += name + strings.Join(values, ",")
		}
		if strings.Contains(whole, secret) && !slices.Contains(found, v.server) {
			found = append(found, v.server)
		}
	}
	return found
}

// answer writes JSON.
func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// azureError is the error body of every Azure data plane.
func azureError(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, object{"error": object{"code": code, "message": message}})
}

// decode reads a JSON object and keeps numbers as written.
func decode(raw []byte) (object, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var body object
	err := decoder.Decode(&body)
	return body, err
}

// serveHTTP and serveTLS start a server on loopback and return its address.
func serveHTTP(t *testing.T, handler http.Handler) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func serveTLS(t *testing.T, who *identity, handler http.Handler, settings ...func(*httptest.Server)) string {
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{who.tls()}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are part of the tests
	for _, set := range settings {
		set(server)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// proxy is a minimal CONNECT proxy (RFC 9110, section 9.3.6). It connects each known name
// to a server on loopback, and every other name to elsewhere.
type proxy struct {
	seen      *ledger
	names     map[string]string // host:443 to address
	elsewhere string
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
		return
	}
	address, known := p.names[r.Host]
	if !known {
		address = p.elsewhere
	}
	upstream, err := net.Dial("tcp", address)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	downstream, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = upstream.Close()
		return
	}
	go func() { _, _ = io.Copy(upstream, buffered); _ = upstream.Close() }()
	_, _ = io.Copy(downstream, upstream)
	_ = downstream.Close()
}
