package conformance

import (
	"net/http"
	"net/url"
	"regexp"

	"skr/api"
)

// refusedReleaseProbes ask for keys that no sidecar may release.
func refusedReleaseProbes() []probe {
	foreign := object("maa_endpoint", nowhere, "akv_endpoint", nowhere, "kid", noKey)
	return []probe{
		{
			name: "foreign-vault", method: http.MethodPost, path: api.RouteRelease, body: foreign, verdict: good, isServed: true,
			reportsIfAccepted: 1, reference: noResult, own: refused(api.EndpointNotAllowed),
		},
		{
			name: "error-accept", method: http.MethodPost, path: api.RouteRelease, body: "{}", verdict: bad, isServed: true,
			header: map[string]string{"Accept": "text/html"}, reference: status(http.StatusBadRequest), own: refused(api.BadRequest),
		},
		{name: "release-get", method: http.MethodGet, path: api.RouteRelease, verdict: good, isServed: true, own: refused(api.BadRequest)},
		{
			name: "release-get-accept", method: http.MethodGet, path: api.RouteRelease + "?alias=" + noKey, verdict: good, isServed: true,
			header: map[string]string{"Accept": "text/html"}, own: refused(api.BadRequest, http.StatusNotAcceptable),
		},
	}
}

var keyID = regexp.MustCompile(`^https://[^/]+/keys/[A-Za-z0-9-]+/[A-Za-z0-9]+$`)

// releaseProbes release the key that the configuration names, and ask for one that does not exist.
func releaseProbes(c Config) []probe {
	names := func(kid string) string {
		return object("maa_endpoint", c.Authority, "akv_endpoint", c.Vault, "kid", kid)
	}
	key := result(map[string]form{"key": jwk})
	release := probe{
		name: "release", method: http.MethodPost, path: api.RouteRelease, body: names(c.Key), verdict: good,
		isServed: true, succeeds: true, reports: 1, reference: key, own: all(key, has(api.HeaderKeyID, keyID)),
	}
	// As Jackson and System.Text.Json write a member that is not set, from a client whose Accept
	// fits nothing.
	null := release
	null.name, null.verdict, null.header = "release-null", wordless, map[string]string{"Accept": "text/html"}
	null.body = `{"access_token":null,` + names(c.Key)[1:]
	query := url.Values{"maa_endpoint": {c.Authority}, "akv_endpoint": {c.Vault}, "kid": {c.Key}}
	get := release
	get.name, get.method, get.body, get.path = "release-get-names", http.MethodGet, "", api.RouteRelease+"?"+query.Encode()
	get.header, get.reference = map[string]string{"Accept": "application/json"}, nil
	absent := release
	absent.name, absent.body, absent.reference, absent.own = "unknown-key", names(noKey), noResult, refused(api.KeyNotFound)
	path := absent
	path.name, path.body, path.verdict, path.own = "kid-path", names("../secrets/"+noKey), wordless, refused(api.BadRequest)
	path.reports, path.reportsIfAccepted = 0, 1
	probes := []probe{release, null, get, absent, path}
	if !c.releases() {
		for i := range probes {
			probes[i].skip = "give --maa, --vault and --kid to release a key"
		}
	}
	return probes
}

// aliasProbes ask the routes of skr for an alias that the configuration lacks.
func aliasProbes() []probe {
	use := func(name, route, body string) probe {
		return probe{name: name, method: http.MethodPost, path: route, body: body, verdict: good, isServed: true, own: anyRefusal}
	}
	operation := func(members ...string) string {
		return object(append([]string{"alias", noKey, "value", "AAAA"}, members...)...)
	}
	return []probe{
		use("release-alias", api.RouteRelease, object("alias", noKey)),
		use("public", api.RoutePublic, object("alias", noKey)),
		use("encrypt", api.RouteEncrypt, operation("alg", "RSA-OAEP-256")),
		use("decrypt", api.RouteDecrypt, operation("alg", "RSA-OAEP-256")),
		use("wrap", api.RouteWrap, operation("alg", "RSA-OAEP-256")),
		use("unwrap", api.RouteUnwrap, operation("alg", "RSA-OAEP-256")),
		use("sign", api.RouteSign, operation("alg", "ES256")),
		use("verify", api.RouteVerify, operation("alg", "ES256", "digest", "AAAA")),
		{
			name: "watch", method: http.MethodGet, path: api.RouteWatch + "?alias=" + noKey + "&timeout=1s", verdict: good,
			isServed: true, own: anyRefusal,
		},
	}
}
