package conformance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Address is where a sidecar listens.
type Address struct {
	text   string
	base   string // of all URLs
	socket string // the path of a unix socket; "" for TCP
	kind   string // for reports, without the host
	plain  bool   // http to another machine
}

// ParseAddress accepts an http or https URL, and "unix:/path" for a socket.
func ParseAddress(text string) (Address, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if path == "" {
			return Address{}, errors.New("unix: lacks the path of the socket")
		}
		return Address{text: text, base: "http://localhost", socket: path, kind: "unix socket"}, nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return Address{}, errors.New("the URL is malformed")
	case u.Scheme != "http" && u.Scheme != "https":
		return Address{}, fmt.Errorf("%q is not an http, https or unix URL; use http://localhost:8080 or unix:/path", u.Redacted())
	case u.User != nil || strings.ContainsAny(text, "?#") || u.Hostname() == "":
		return Address{}, fmt.Errorf("%q is not a scheme, a host and a path", u.Redacted())
	}
	a := Address{text: text, base: strings.TrimSuffix(text, "/"), kind: u.Scheme + " on this machine"}
	if !isLoopback(u.Hostname()) {
		a.kind, a.plain = u.Scheme+" to another machine", u.Scheme == "http"
	}
	return a, nil
}

// String returns the text that was parsed.
func (a Address) String() string { return a.text }

// IsExposed reports whether released keys would cross a network in the clear.
func (a Address) IsExposed() bool { return a.plain }

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

// client uses no proxy and follows no redirect: the answer must be the sidecar's.
func (a Address) client() *http.Client {
	transport := &http.Transport{DisableCompression: true, MaxResponseHeaderBytes: maxHeader}
	if a.socket != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", a.socket)
		}
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
