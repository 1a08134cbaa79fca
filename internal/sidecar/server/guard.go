package server

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"skr/internal/refusal"
)

// checkCaller keeps web pages out. A page that resolves its own name to a loopback
// address (DNS rebinding) sends that name as Host. What a page sends to localhost has
// an Origin, or a Sec-Fetch-Site other than none (docs/threat-model.md).
func (s *Server) checkCaller(r *http.Request) error {
	if !overUnix(r) && !s.isLocalHost(r.Host) {
		return refusal.Newf(refusal.CallerNotAllowed, "the Host header must name this machine: localhost, 127.0.0.1 or [::1]")
	}
	if fromPage(r.Header) {
		return refusal.Newf(refusal.CallerNotAllowed, "requests from web pages are refused: they have the header Origin or Sec-Fetch-Site")
	}
	return nil
}

// fromPage reports whether a browser sends this for a page. Sec-Fetch-Mode alone says
// nothing: Node's fetch sends it from servers too. Sec-Fetch-Site is none for what a
// person typed. The scripts of a page can neither set nor drop the two headers.
func fromPage(header http.Header) bool {
	_, hasOrigin := header["Origin"]
	return hasOrigin || slices.ContainsFunc(header["Sec-Fetch-Site"], func(site string) bool { return site != "none" })
}

// overUnix: the socket's mode says who may call, and its callers have no host
// name to send.
func overUnix(r *http.Request) bool {
	address, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && address.Network() == "unix"
}

// isLocalHost reports whether no page of another machine can have this Host. It may
// have any port: a pod may forward one to ours. No Host at all is a caller of
// HTTP/1.0 and no browser.
func (s *Server) isLocalHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	if address, err := netip.ParseAddr(host); err == nil {
		return isLocalAddress(address)
	}
	name := strings.ToLower(host)
	return host == "" || isLocalhostName(name) || slices.Contains(s.config.LocalNames, name)
}

// isLocalAddress takes addresses that mean this machine. Nobody can point an address
// elsewhere, as a name can be.
func isLocalAddress(address netip.Addr) bool {
	address = address.Unmap()
	return address.Zone() == "" && (address.IsLoopback() || address.IsUnspecified())
}

// isLocalhostName takes localhost and the names below it, which nobody can register
// (RFC 6761 section 6.3).
func isLocalhostName(name string) bool {
	name = strings.TrimSuffix(name, ".")
	return name == "localhost" || strings.HasSuffix(name, ".localhost") && isPlainHost(name)
}

// isPlainHost keeps out what is no name, such as "evil.example#.localhost".
func isPlainHost(name string) bool {
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == ""
}
