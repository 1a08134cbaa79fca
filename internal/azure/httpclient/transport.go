package httpclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"skr/internal/cache"
)

const (
	dialTimeout           = 5 * time.Second
	tlsTimeout            = 5 * time.Second
	headerTimeout         = 30 * time.Second
	idleTimeout           = 90 * time.Second
	pingAfter             = 20 * time.Second // silence after which HTTP/2 asks whether the other side lives
	maxIdle               = 64
	maxIdlePerHost        = 8
	maxResponseHeader     = 64 << 10
	expectContinueTimeout = time.Second
)

// TransportConfig describes how connections are made.
type TransportConfig struct {
	// Roots for TLS; nil means the system's.
	Roots *x509.CertPool
	// Direct ignores the proxy of the environment, for services that are
	// reached over the local link only: IMDS and THIM.
	Direct bool
	// Rewrite sends requests for a host ("169.254.169.254") to another base
	// URL instead, for the link-local services of Azure and their emulator.
	Rewrite map[string]*url.URL
}

// Transport is an [http.RoundTripper] that may connect before it is asked.
type Transport struct {
	base  *http.Transport
	next  http.RoundTripper // base, or what rewrites before it
	ahead *ahead
}

var _ http.RoundTripper = (*Transport)(nil)

// NewTransport makes a transport with a bound on each step: dial, TLS (1.2 or
// later), response header, idle connections. It speaks HTTP/2, keeps
// connections open and takes names under .localhost for this machine.
// Compression is off, so that a body is as large as what was sent.
func NewTransport(c TransportConfig) *Transport {
	dial := dialLocalhost((&net.Dialer{Timeout: dialTimeout}).DialContext)
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots}
	ahead := newAhead(dial, config)
	t := &http.Transport{
		Proxy:                  proxyFromEnvironment,
		DialContext:            dial,
		DialTLSContext:         ahead.dialTLS, // but through a proxy, where TLSClientConfig is for
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    tlsTimeout,
		ResponseHeaderTimeout:  headerTimeout,
		ExpectContinueTimeout:  expectContinueTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		MaxResponseHeaderBytes: maxResponseHeader,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: dialTimeout},
	}
	if c.Direct {
		t.Proxy = nil
	}
	if len(c.Rewrite) == 0 {
		return &Transport{t, t, ahead}
	}
	return &Transport{t, &rewriter{next: t, targets: c.Rewrite}, ahead}
}

// RoundTrip sends one request.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(r)
	if err == nil && r.URL.Scheme == "https" {
		t.ahead.answered(cache.Caller(r.Context()), addressOf(r.URL))
	}
	return answer, err
}

// CloseIdleConnections closes those that no request uses.
func (t *Transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// proxyFromEnvironment adds to the standard rule, which spares only the name
// localhost itself, that names under .localhost never leave this machine.
func proxyFromEnvironment(r *http.Request) (*url.URL, error) {
	if isLocalhost(r.URL.Hostname()) {
		return nil, nil //nolint:nilnil // http.Transport's word for "no proxy"
	}
	return http.ProxyFromEnvironment(r)
}

// isLocalhost reports whether name is localhost or below it, as in RFC 6761
// section 6.3, which has such names mean the loopback address.
func isLocalhost(name string) bool {
	name = "." + strings.ToLower(strings.TrimSuffix(name, "."))
	return strings.HasSuffix(name, ".localhost")
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialLocalhost dials .localhost names without asking a resolver, of which
// many do not know them.
func dialLocalhost(next dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		name, port, err := net.SplitHostPort(address)
		if err != nil || !isLocalhost(name) {
			return next(ctx, network, address)
		}
		return dialLoopback(ctx, next, network, port)
	}
}

func dialLoopback(ctx context.Context, next dialFunc, network, port string) (net.Conn, error) {
	var failed []error
	for _, address := range []string{"127.0.0.1", "::1"} {
		conn, err := next(ctx, network, net.JoinHostPort(address, port))
		if err == nil {
			return conn, nil
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

// rewriter sends the requests for some hosts to other base URLs.
type rewriter struct {
	next    http.RoundTripper
	targets map[string]*url.URL
}

// RoundTrip changes a copy, because a RoundTripper must not change the request.
func (t *rewriter) RoundTrip(r *http.Request) (*http.Response, error) {
	base, ok := t.targets[strings.TrimSuffix(r.URL.Host, ":80")]
	if !ok {
		return t.next.RoundTrip(r)
	}
	rewritten := r.Clone(r.Context())
	rewritten.URL = base.JoinPath(r.URL.EscapedPath())
	if base.Path == "" { // JoinPath then makes a relative path
		rewritten.URL.Path = "/" + rewritten.URL.Path
	}
	rewritten.URL.RawQuery = r.URL.RawQuery
	rewritten.Host = ""
	return t.next.RoundTrip(rewritten)
}
