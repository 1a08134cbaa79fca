package conformance

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// versionsOf are the stable api-versions of keys. Managed HSM begins with 7.2.
func versionsOf(managed bool) []string {
	all := []string{"2016-10-01", "7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01"}
	if managed {
		return all[slices.Index(all, "7.2"):]
	}
	return all
}

// clientRequest is the id of a request that the service repeats. It identifies nothing.
const clientRequest = "0e4a4f0c-5b5e-4c3a-9a54-6c6b9a1b0f11"

// itemShape is the shape of a list's items.
const itemShape = "value:array value[].kid:string value[].attributes.enabled:bool value[].attributes.created:int " +
	"value[].attributes.updated:int value[].attributes.recoveryLevel:string value[].tags?:object nextLink?:null|string"

var listed = want{status: []int{http.StatusOK}, members: itemShape}

func (s *session) list(path string, query url.Values) request {
	return request{method: http.MethodGet, path: path, api: stable, query: query}
}

// serviceHeaders returns the headers of every authenticated answer in the recordings.
func (s *session) serviceHeaders() map[string]string {
	headers := map[string]string{
		"X-Ms-Request-Id": `^[0-9a-f-]{36}$`, "Cache-Control": "no-cache", "X-Content-Type-Options": "^nosniff$",
		"Strict-Transport-Security": "^max-age=", "Content-Type": "^application/json",
	}
	if s.managed {
		headers["X-Frame-Options"], headers["Content-Security-Policy"], headers["X-Ms-Server-Latency"] = "^SAMEORIGIN$", "^default-src 'self'", `^\d+$`
	} else {
		headers["X-Ms-Keyvault-Service-Version"], headers["X-Ms-Keyvault-Region"], headers["Pragma"] = `^\d+\.\d+`, ".", "no-cache"
	}
	return headers
}

// readChecks read lists, and keys that do not exist.
func readChecks(s *session) []check {
	const absent = "skr-conformance-absent"
	missing := refused(http.StatusNotFound, "KeyNotFound")
	bad := refused(http.StatusBadRequest, "BadParameter")
	get := func(path string) request {
		return request{method: http.MethodGet, path: path, key: absent, api: stable}
	}
	versioned := request{method: http.MethodGet, path: "/keys/{key}/{version}", key: absent, version: strings.Repeat("0", 32), api: stable}
	id := s.list("/keys", nil)
	id.header = map[string]string{"X-Ms-Client-Request-Id": clientRequest}
	checks := []check{
		{name: "list keys", source: specKeys + ", GetKeys; " + recordedGo, run: one(s.list("/keys", nil), listed)},
		{name: "list deleted keys", source: specKeys + ", GetDeletedKeys; " + recordedGo, run: one(s.list("/deletedkeys", nil), listed)},
		{name: "headers of an answer", source: recordedGo, run: one(s.list("/keys", nil), want{headers: s.serviceHeaders()})},
		{name: "the client's request id is repeated", source: recordedGo, run: one(id, want{headers: map[string]string{
			"X-Ms-Client-Request-Id": "^" + clientRequest + "$"}})},
		{name: "pages of one key", source: specKeys + ", maxresults; " + recordedGo, run: func(p *probe) error { return p.pages("/keys", "") }},
		{name: "maxresults 0", source: specKeys + ", maxresults: 1 to 25", run: one(s.list("/keys", url.Values{"maxresults": {"0"}}), bad)},
		{name: "maxresults 26", source: specKeys + ", maxresults: 1 to 25", run: one(s.list("/keys", url.Values{"maxresults": {"26"}}), bad)},
		{name: "an unknown key", source: recordedGo, run: one(get("/keys/{key}"), missing)},
		{name: "an unknown version", source: recordedGo, run: one(versioned, missing)},
		{name: "an unknown deleted key", source: recordedGo, run: one(get("/deletedkeys/{key}"), missing)},
		{name: "versions of an unknown key", source: recordedJS, run: one(get("/keys/{key}/versions"), want{status: []int{http.StatusOK}, members: "value:array"})},
		{name: "an invalid name", source: specKeys + ", key-name: ^[0-9a-zA-Z-]+$; " + recordedGo,
			run: one(request{method: http.MethodGet, path: "/keys/x%21@%23%24", api: stable}, bad)},
		{name: "no api-version", source: unconfirmed + "400", run: one(request{method: http.MethodGet, path: "/keys"}, bad)},
		{name: "an unknown api-version", source: "public issue reports: 'is not recognized'",
			run: one(request{method: http.MethodGet, path: "/keys", api: "1.0"}, bad)},
		{name: "an unknown path", source: unconfirmed + "400, 404 or 405", run: one(get("/no-such-path"), unserved())},
		{name: "an unknown operation", source: unconfirmed + "400, 404 or 405",
			run: one(request{method: http.MethodPost, path: "/keys/{key}/no-such-operation", key: absent, api: stable, body: rawBody("{}")}, unserved())},
		{name: "sign with an unknown key", source: recordedGo, run: one(request{method: http.MethodPost, path: "/keys/{key}/sign", key: absent, api: stable,
			body: map[string]string{"alg": "RS256", "value": encode64(digest256)}}, missing)},
		{name: "release of an unknown key", source: recordedGo, run: one(request{method: http.MethodPost, path: "/keys/{key}/release", key: absent,
			api: withRelease, body: map[string]string{"target": forgedToken(s.audience)}}, missing)},
		{name: "release before there was release", source: specKeys + ", 7.2 has no release", run: one(request{method: http.MethodPost,
			path: "/keys/{key}/release", key: absent, api: beforeRelease, body: map[string]string{"target": "e30.e30.e30"}}, unserved())},
	}
	for _, version := range versionsOf(s.managed) {
		checks = append(checks, check{name: "api-version " + version, source: specKeys,
			run: one(request{method: http.MethodGet, path: "/keys", api: version}, listed)})
	}
	return checks
}

// unserved returns what the answer to a request must be that the service does not know.
func unserved() want {
	return want{status: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed}}
}

// pages follows the links of a list with pages of one item. A link must lead to the same vault.
func (p *probe) pages(path, key string) error {
	p.expect("pages of at most one item; nextLink is on this host and leads to the next one")
	r := p.s.list(path, url.Values{"maxresults": {"1"}})
	r.key = key
	seen := make(map[string]bool)
	for range 3 {
		got, err := p.ask(r, listed)
		if err != nil {
			return err
		}
		items := lookup(got.json, "value[].kid")
		if len(items) > 1 {
			return p.differ("a page has %d items", len(items))
		}
		for _, item := range items {
			if kid := textOf(item); seen[kid] {
				return p.differ("a page repeats the item of another")
			}
			seen[textOf(item)] = true
		}
		link := got.text("nextLink")
		if link == "" {
			return nil
		}
		if r, err = p.next(r, link); err != nil {
			return err
		}
	}
	return nil
}

// next returns the request for a link.
func (p *probe) next(r request, link string) (request, error) {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" || !sameHost(u.Host, p.s.host) {
		return r, p.differ("nextLink does not lead to this host")
	}
	r.api, r.query = "", u.Query()
	if !r.query.Has("$skiptoken") {
		return r, p.differ("nextLink has no $skiptoken")
	}
	return r, nil
}

// sameHost compares hosts, which may have the port of HTTPS.
func sameHost(one, other string) bool {
	return strings.EqualFold(strings.TrimSuffix(one, ":443"), strings.TrimSuffix(other, ":443"))
}
