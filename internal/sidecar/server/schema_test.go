package server

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"skr/api"
	"skr/hsm"
	"skr/internal/sidecar/limit"
	"skr/keyrelease"
)

// goodValues holds valid values of each member of a request.
var goodValues = map[string]string{
	"runtime_data": "aGVsbG8=", "maa_endpoint": "contoso.eus.attest.azure.net", "akv_endpoint": "contoso.vault.azure.net",
	"kid": "demo", "access_token": "e30.e30.c2ln", "alias": "orders",
	"version": "0123456789abcdef0123456789abcdef",
}

// A request is accepted if and only if the description allows it. Each member of each route
// is absent, good, empty or of another type, in all combinations. An empty member counts as
// absent, as the description states in words.
func TestSchemaAndServerAgree(t *testing.T) {
	description, err := openapi3.NewLoader().LoadFromData(api.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	authority, vault := goodValues["maa_endpoint"], goodValues["akv_endpoint"]
	s := newServer(t, newPipeline(t), func(c *Config) {
		c.Gate = limit.New(limit.Config{Rate: 1e6})
		request := keyrelease.Request{}
		if request.Authority, err = c.Authorities.Parse(authority); err != nil {
			t.Fatal(err)
		}
		if request.Key, err = c.Vaults.Parse(vault, "demo"); err != nil {
			t.Fatal(err)
		}
		every, err := hsm.ParseVersions([]string{"all"})
		if err != nil {
			t.Fatal(err)
		}
		c.Aliases = map[string]keyrelease.Request{goodValues["alias"]: request.OfVersions(every)}
	})
	for path, members := range map[string][]string{
		api.RouteRaw: {"runtime_data"}, api.RouteCombined: {"runtime_data"}, api.RouteMAA: {"maa_endpoint", "runtime_data"},
		api.RouteRelease: {"maa_endpoint", "akv_endpoint", "kid", "access_token", "alias", "version"},
	} {
		schema := description.Paths.Find(path).Post.RequestBody.Value.Content["application/json"].Schema.Value
		taken, refused := 0, 0
		for body := range combinations(members) {
			described := maps.Clone(body)
			maps.DeleteFunc(described, func(_ string, value any) bool { return value == "" })
			allowed := schema.VisitJSON(described) == nil
			status := send(t, s, path, "application/json", body)
			if status == http.StatusOK {
				taken++
			} else {
				refused++
			}
			if allowed != (status == http.StatusOK) || !allowed && status != http.StatusBadRequest {
				t.Errorf("%s %v: status %d, and the description allows it: %t", path, body, status, allowed)
			}
		}
		if taken == 0 || refused == 0 {
			t.Errorf("%s: %d accepted and %d refused", path, taken, refused)
		}
	}
}

// combinations returns all combinations of the members' values, plus one unknown member.
func combinations(members []string) func(yield func(map[string]any) bool) {
	return func(yield func(map[string]any) bool) {
		values := func(member string) []any { return []any{nil, goodValues[member], "", float64(7)} } // nil means absent
		total := 1
		for range members {
			total *= 4
		}
		for number := range 2 * total {
			body, rest := map[string]any{}, number/2
			if number%2 == 1 {
				body["colour"] = "red"
			}
			for _, member := range members {
				if value := values(member)[rest%4]; value != nil {
					body[member] = value
				}
				rest /= 4
			}
			if !yield(body) {
				return
			}
		}
	}
}

func send(t *testing.T, s *Server, path, contentType string, body map[string]any) (status int) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(string(text)))
	request.Host = "localhost"
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, request)
	return recorder.Code
}

// The content types that the description names or that clients send with JSON are treated
// alike.
func TestContentTypesAgree(t *testing.T) {
	description, err := openapi3.NewLoader().LoadFromData(api.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, newPipeline(t), nil)
	body := map[string]any{"runtime_data": goodValues["runtime_data"]}
	types := []string{"", "application/json; charset=utf-8", "application/x-www-form-urlencoded"}
	for contentType := range description.Paths.Find(api.RouteRaw).Post.RequestBody.Value.Content {
		types = append(types, contentType)
	}
	for _, contentType := range types {
		if status := send(t, s, api.RouteRaw, contentType, body); status != http.StatusOK {
			t.Errorf("content type %q: status %d", contentType, status)
		}
	}
}
