package api

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

// newSender returns the base of all URLs and the client that reaches it.
func newSender(baseURL string, given *http.Client) (string, *http.Client, error) {
	if path, ok := strings.CutPrefix(baseURL, "unix:"); ok {
		return "http://localhost", unixClient(path, given), nil
	}
	u, err := url.Parse(baseURL)
	switch {
	case err != nil:
		return "", nil, errors.New("the base URL is malformed")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Host == "":
		return "", nil, fmt.Errorf("base URL %q is not a scheme, a host and a path", u.Redacted())
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "", nil, fmt.Errorf("base URL %q is neither https nor on this machine: keys would cross the network in the clear", baseURL)
	case u.Scheme != "http" && u.Scheme != "https":
		return "", nil, fmt.Errorf("base URL %q is not http, https or unix", baseURL)
	}
	if given == nil {
		given = newHTTPClient(&http.Transport{})
	}
	return strings.TrimSuffix(baseURL, "/"), given, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

// unixClient returns a client for the socket, with the other settings of given.
func unixClient(path string, given *http.Client) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", path)
	}}
	if given == nil {
		return newHTTPClient(transport)
	}
	client := *given
	client.Transport = transport
	return &client
}

// newHTTPClient returns a client that uses no proxy, because skr is on this machine, and
// follows no redirect, because skr sends none and the request may contain a token.
func newHTTPClient(transport *http.Transport) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
