package server

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"skr/internal/refusal"
)

// crossOrigin refuses a request that a browser says comes from another origin,
// by Sec-Fetch-Site or else by comparing Origin with Host.
var crossOrigin = http.NewCrossOriginProtection()

// checkCaller keeps web pages out. A page that resolves its own name to a
// loopback address (DNS rebinding) sends that name as Host; a page that asks
// localhost directly sends its Origin.
func checkCaller(r *http.Request) error {
	if !overUnix(r) && !isLoopbackHost(r.Host) {
		return refusal.Newf(refusal.CallerNotAllowed, "the Host header must name localhost, 127.0.0.1 or [::1]")
	}
	for _, origin := range r.Header.Values("Origin") {
		if !isLoopbackOrigin(origin) {
			return refusal.Newf(refusal.CallerNotAllowed, "requests from web pages are refused")
		}
	}
	if err := crossOrigin.Check(r); err != nil {
		return refusal.Because(refusal.CallerNotAllowed, "requests from another origin are refused", err)
	}
	return nil
}

// fromBrowser says whether the request has a header that browsers add and
// scripts of a page cannot leave out.
func fromBrowser(r *http.Request) bool {
	for name := range r.Header {
		if name == "Origin" || strings.HasPrefix(name, "Sec-Fetch-") {
			return true
		}
	}
	return false
}

// overUnix: the socket's mode says who may call, and its callers have no host
// name to send.
func overUnix(r *http.Request) bool {
	address, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && address.Network() == "unix"
}

// isLoopbackHost takes any port: a pod may forward one to ours.
func isLoopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	return strings.EqualFold(host, "localhost") || host == "127.0.0.1" || host == "::1"
}

// isLoopbackOrigin refuses "null" too, the origin of sandboxed pages and files.
func isLoopbackOrigin(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && isLoopbackHost(u.Host)
}
