package coco

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"skr/internal/jose/jwk"
)

const (
	octets = "application/octet-stream"
	object = "application/json"
)

// target is what a request is for: a route of the local server and its request.
type target struct {
	route  string
	method string
	media  string // of the answer
	body   []byte // JSON
	about  string // begins the text of an error
}

// split cuts a path at its second slash: "/cdh", "/resource/…" (utils.rs, split_nth_slash).
func split(path string) (root, rest string, found bool) {
	if !strings.HasPrefix(path, "/") {
		return "", "", false
	}
	at := strings.IndexByte(path[1:], '/')
	if at < 0 {
		return "", "", false
	}
	return path[:at+1], path[at+1:], true
}

// parse returns what a request is for, or the answer to one that is for nothing.
func (h *Handler) parse(w http.ResponseWriter, r *http.Request) (target, *answer) {
	path := r.URL.EscapedPath()
	if path == RouteInfo {
		if r.Method != http.MethodGet {
			return target{}, refuse(http.StatusMethodNotAllowed, "Method Not Allowed")
		}
		return target{route: RouteInfo, method: http.MethodGet, media: object}, nil
	}
	root, rest, found := split(path)
	switch {
	case found && root == "/aa":
		return parseAgent(w, r)
	case found && root == "/cdh" && !h.config.Resources:
		return target{}, refuse(http.StatusNotFound, "Resource Feature Not Enabled")
	case found && root == "/cdh":
		return parseFetch(rest)
	}
	return target{}, notFound()
}

func refuse(status int, body string) *answer {
	refused := text(status, body)
	return &refused
}

func notFound() *answer   { return refuse(http.StatusNotFound, "URL NOT FOUND") }
func badRequest() *answer { return refuse(http.StatusBadRequest, "BAD REQUEST") }

// parseFetch accepts every method, as guest-components does. The rest of the path, as it was
// sent, is the name.
func parseFetch(rest string) (target, *answer) {
	kind, path, found := split(rest)
	if !found || kind != "/resource" {
		return target{}, notFound()
	}
	name := strings.TrimPrefix(path, "/")
	return target{
		route: RouteResource, method: http.MethodPost, media: octets, body: members("path", name),
		about: "kbs:///" + name + ": ",
	}, nil
}

// parseAgent parses the requests to the attestation agent.
func parseAgent(w http.ResponseWriter, r *http.Request) (target, *answer) {
	t := target{route: r.URL.EscapedPath(), method: http.MethodPost, media: octets}
	query := parseQuery(r.URL.RawQuery)
	switch {
	case r.Method == http.MethodGet && t.route == RouteToken:
		kind, found := query["token_type"]
		if !found {
			return t, badRequest()
		}
		return t.withData(query, "token_type", kind)
	case r.Method == http.MethodGet && (t.route == RouteEvidence || t.route == RouteAdditional):
		if _, found := query["runtime_data"]; !found {
			return t, badRequest()
		}
		return t.withData(query)
	case r.Method == http.MethodPost && t.route == RouteAAEL:
		t.media = object
		if err := checkEvent(w, r); err != nil {
			return t, refuse(http.StatusInternalServerError, err.Error())
		}
		t.body = []byte("{}")
		return t, nil
	}
	return t, notFound()
}

// withData sets the request to the runtime data and the other members.
func (t target) withData(query map[string]string, others ...string) (target, *answer) {
	data := []byte(query["runtime_data"])
	if encoding, given := query["encoding"]; given {
		var err error
		if data, err = jwk.DecodeStrict(base64.RawURLEncoding, query["runtime_data"]); err != nil || encoding != "base64" {
			return t, badRequest()
		}
	}
	t.body = members(append(others, "runtime_data", base64.StdEncoding.EncodeToString(data))...)
	return t, nil
}

// members returns a JSON object of names and values.
func members(pairs ...string) []byte {
	object := make(map[string]string, len(pairs)/2)
	for pair := range slices.Chunk(pairs, 2) {
		object[pair[0]] = pair[1]
	}
	text, _ := json.Marshal(object) // strings: no error
	return text
}
