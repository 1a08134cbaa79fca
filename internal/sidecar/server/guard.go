package server

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"skr/internal/refusal"
)

// checkCaller refuses web pages. A page whose name resolves to a loopback address (DNS
// rebinding) sends that name as Host. A request of a page to localhost has an Origin, or a
// Sec-Fetch-Site other than none (docs/threat-model.md).
func (s *Server) checkCaller(r *http.Request) error {
	if !overUnix(r) && !s.isLocalHost(r.Host) {
		return refusal.Newf(refusal.CallerNotAllowed, "the Host header must name this machine: localhost, 127.0.0.1 or [::1]")
	}
	if fromPage(r.Header) {
		return refusal.Newf(refusal.CallerNotAllowed, "requests from web pages are refused: they have the header Origin or Sec-Fetch-Site")
	}
	return nil
}

// errUntrustedHost refuses a GET that could be of a page.
var errUntrustedHost = refusal.Newf(refusal.CallerNotAllowed,
	"a key is read with GET from localhost, 127.0.0.1, [::1] or a unix socket; with another Host, use POST")

// CheckGet refuses a GET of a secret unless browsers send Sec-Fetch-Site with it. A GET of a
// page has no Origin, and browsers send Sec-Fetch-Site only to addresses that they trust
// without TLS: loopback addresses and localhost, but not 0.0.0.0 or names of /etc/hosts
// (W3C, Secure Contexts, "Is origin potentially trustworthy?").
func CheckGet(r *http.Request) error {
	if overUnix(r) || isTrustworthy(hostName(r.Host)) {
		return nil
	}
	return errUntrustedHost
}

func isTrustworthy(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Zone() == "" && address.Unmap().IsLoopback()
	}
	return host == "" || isLocalhostName(strings.ToLower(host))
}

// hostName returns the host of a Host header without its port and brackets.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		return strings.TrimSuffix(inner, "]")
	}
	return host
}

// fromPage reports whether a browser sends this request for a page. Sec-Fetch-Mode alone does
// not show that: Node's fetch sends it from servers too. Sec-Fetch-Site is none for an
// address that a person typed. The scripts of a page can neither set nor remove the two
// headers.
func fromPage(header http.Header) bool {
	_, hasOrigin := header["Origin"]
	return hasOrigin || slices.ContainsFunc(header["Sec-Fetch-Site"], func(site string) bool { return site != "none" })
}

// overUnix reports whether a request came over a Unix socket. The mode of the socket decides
// who may connect, and its callers have no host name to send.
func overUnix(r *http.Request) bool {
	address, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && address.Network() == "unix"
}

// isLocalHost reports whether a Host names this machine, so that no page of another machine
// can have it. Any port is allowed: a pod may forward one to the sidecar's. A request
// without a Host is from a client of HTTP/1.0, which is no browser.
func (s *Server) isLocalHost(host string) bool {
	host = hostName(host)
	if address, err := netip.ParseAddr(host); err == nil {
		return isLocalAddress(address)
	}
	name := strings.ToLower(host)
	return host == "" || isLocalhostName(name) || slices.Contains(s.config.LocalNames, name)
}

// isLocalAddress reports whether an address means this machine. Unlike a name, an address
// cannot be made to point elsewhere.
func isLocalAddress(address netip.Addr) bool {
	address = address.Unmap()
	return address.Zone() == "" && (address.IsLoopback() || address.IsUnspecified())
}

// isLocalhostName reports whether a name is localhost or below it. Such names cannot be
// registered (RFC 6761 section 6.3).
func isLocalhostName(name string) bool {
	name = strings.TrimSuffix(name, ".")
	return name == "localhost" || strings.HasSuffix(name, ".localhost") && isPlainHost(name)
}

// isPlainHost reports whether a text is a host name, unlike "evil.example#.localhost".
func isPlainHost(name string) bool {
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == ""
}
