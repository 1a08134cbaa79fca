package conformance

import (
	"encoding/json"
	"net/http"
	"slices"

	"skr/api"
)

const (
	// nowhere is a host that no resolver knows (RFC 6761 section 6.4), so that a sidecar that
	// allows every host sends nothing to anyone.
	nowhere = "conformance.invalid"
	// noKey is a key and an alias that hardly exist.
	noKey = "conformance-no-such-key"
)

// probesFor returns the requests in their order. The first one shows whether a sidecar is there.
func probesFor(c Config) []probe {
	probes := slices.Concat(statusProbes(), routeProbes(), pageProbes(c), bodyProbes(), attestProbes(), authorityProbes(c),
		refusedReleaseProbes(), releaseProbes(c), aliasProbes())
	if c.Contract == Reference {
		probes = slices.DeleteFunc(probes, func(p probe) bool { return p.reference == nil })
	}
	return probes
}

// object returns a JSON object of strings, given as names and values.
func object(members ...string) string {
	texts := make(map[string]string)
	for pair := range slices.Chunk(members, 2) {
		texts[pair[0]] = pair[1]
	}
	text, _ := json.Marshal(texts) // strings always have a JSON form
	return string(text)
}

func statusProbes() []probe {
	ready := result(map[string]form{"message": oneOf(api.StatusOK, api.StatusNotOK)})
	return []probe{
		{name: "status", method: http.MethodGet, path: api.RouteStatus, verdict: good, isServed: true, reference: ready, own: ready},
		{name: "status-slash", method: http.MethodGet, path: api.RouteStatus + "/", isServed: true, own: ready},
		{
			name: "ready", method: http.MethodGet, path: api.RouteReady, verdict: good, isServed: true,
			own: all(status(http.StatusOK, http.StatusServiceUnavailable), isJSON),
		},
	}
}

// routeProbes ask for what no sidecar has.
func routeProbes() []probe {
	wrongMethod := refused(api.BadRequest, http.StatusMethodNotAllowed)
	return []probe{
		{
			name: "unknown-route", method: http.MethodPost, path: "/conformance/no-such-route", body: "{}", verdict: bad,
			reference: status(http.StatusNotFound), own: refused(api.BadRequest, http.StatusNotFound),
		},
		{name: "method-status", method: http.MethodPost, path: api.RouteStatus, body: "{}", verdict: bad, reference: noResult, own: wrongMethod},
		{name: "method-attest", method: http.MethodGet, path: api.RouteRaw, verdict: bad, reference: noResult, own: wrongMethod},
		{name: "method-release", method: http.MethodPut, path: api.RouteRelease, body: "{}", verdict: bad, reference: noResult, own: wrongMethod},
	}
}

// pageProbes are requests as a web page sends them.
func pageProbes(c Config) []probe {
	refusal := refused(api.CallerNotAllowed)
	host := probe{name: "foreign-host", method: http.MethodGet, path: api.RouteStatus, host: nowhere, own: refusal}
	if c.Sidecar.socket != "" {
		host.skip = "on a unix socket every Host is allowed"
	}
	page := func(name, header, value string) probe {
		return probe{name: name, method: http.MethodGet, path: api.RouteStatus, header: map[string]string{header: value}, own: refusal}
	}
	return []probe{
		host,
		page("foreign-origin", "Origin", "https://"+nowhere),
		page("cross-site", "Sec-Fetch-Site", "cross-site"),
	}
}
