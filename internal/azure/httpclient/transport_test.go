package httpclient

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"skr/internal/refusal"
)

func get(t *testing.T, c TransportConfig, url string) (*Response, error) {
	t.Helper()
	client, _ := newImpatient(Config{Service: "MAA", Transport: NewTransport(c)})
	return client.Do(t.Context(), Request{URL: url})
}

func echoHost(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, r.Proto+" "+r.Host+r.URL.String())
}

func TestLocalhostNames(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
			if err != nil {
				t.Skipf("this machine has no %s: %v", address, err)
			}
			server := httptest.NewUnstartedServer(http.HandlerFunc(echoHost))
			_ = server.Listener.Close()
			server.Listener = listener
			server.Start()
			defer server.Close()
			_, port, _ := net.SplitHostPort(listener.Addr().String())
			for _, name := range []string{"localhost", "a.vault.localhost", "A.LocalHost", "vault.localhost."} {
				answer, err := get(t, TransportConfig{}, "http://"+name+":"+port+"/x")
				if err != nil {
					t.Errorf("%s: %v", name, err)
				} else if want := "HTTP/1.1 " + name + ":" + port + "/x"; string(answer.Body) != want {
					t.Errorf("%s: got %q, want %q", name, answer.Body, want)
				}
			}
		})
	}
}

func TestIsLocalhost(t *testing.T) {
	for name, want := range map[string]bool{
		"localhost": true, "x.localhost": true, "x.LOCALHOST.": true,
		"notlocalhost": false, "localhost.example": false, "127.0.0.1": false, "": false,
	} {
		if isLocalhost(name) != want {
			t.Errorf("%q: got %v", name, !want)
		}
	}
}

func TestProxy(t *testing.T) {
	for address, want := range map[string]bool{
		"https://vault.example/": true, "https://a.vault.localhost:8443/": false, "http://localhost/": false,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if proxy, err := proxyFromEnvironment(r); err != nil || (proxy != nil) != want {
			t.Errorf("%s: got proxy %v, error %v", address, proxy, err)
		}
	}
	for _, direct := range []bool{false, true} {
		transport := NewTransport(TransportConfig{Direct: direct}).base
		if (transport.Proxy == nil) != direct || transport.TLSClientConfig.MinVersion != tls.VersionTLS12 {
			t.Errorf("with Direct %v: the transport is %+v", direct, transport)
		}
	}
}

func TestRewrite(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echoHost))
	defer server.Close()
	base, _ := url.Parse(server.URL + "/imds/")
	config := TransportConfig{Rewrite: map[string]*url.URL{"169.254.169.254": base}}
	for _, host := range []string{"169.254.169.254", "169.254.169.254:80"} {
		answer, err := get(t, config, "http://"+host+"/metadata/THIM/amd/certification?a=%20b")
		if err != nil {
			t.Fatal(err)
		}
		if want := "HTTP/1.1 " + base.Host + "/imds/metadata/THIM/amd/certification?a=%20b"; string(answer.Body) != want {
			t.Errorf("the server saw %q, want %q", answer.Body, want)
		}
	}
	if answer, err := get(t, config, server.URL+"/plain"); err != nil || !strings.HasSuffix(string(answer.Body), "/plain") {
		t.Errorf("another host got %v, %v", answer, err)
	}
}

func newTLSServer(t *testing.T, version uint16) (*httptest.Server, *x509.CertPool) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(echoHost))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return server, pool
}

func TestTLS(t *testing.T) {
	server, pool := newTLSServer(t, tls.VersionTLS13)
	answer, err := get(t, TransportConfig{Roots: pool}, server.URL)
	if err != nil || !strings.HasPrefix(string(answer.Body), "HTTP/2.0 ") {
		t.Errorf("got %v, %v; want HTTP/2", answer, err)
	}

	client, slept := newImpatient(Config{Service: "MAA", Transport: NewTransport(TransportConfig{Roots: x509.NewCertPool()})})
	_, err = client.Do(t.Context(), Request{URL: server.URL})
	checkRefusal(t, err, refusal.Untrusted, 0)
	if len(slept.all) != 0 {
		t.Error("a request with an unverified certificate is retried")
	}

	wrongName := strings.Replace(server.URL, "127.0.0.1", "other.localhost", 1)
	_, err = get(t, TransportConfig{Roots: pool}, wrongName)
	checkRefusal(t, err, refusal.Untrusted, 0)

	old, pool := newTLSServer(t, tls.VersionTLS11)
	_, err = get(t, TransportConfig{Roots: pool}, old.URL)
	checkRefusal(t, err, refusal.Unavailable, 0)
}

func TestResponseHeaderIsBounded(t *testing.T) {
	server, _ := serve(t, step{status: 200, header: map[string]string{"X-Long": strings.Repeat("x", maxResponseHeader)}})
	_, err := get(t, TransportConfig{}, server.URL)
	checkRefusal(t, err, refusal.Unavailable, 0)
}
