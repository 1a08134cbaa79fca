package vault

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzServeHTTP checks that every request gets an answer: no panic, and a body
// that is JSON or empty.
func FuzzServeHTTP(f *testing.F) {
	f.Add("GET", "/keys/?$skiptoken=e30&api-version=7.4", "", true)
	f.Add("POST", "/keys/a/create?api-version=7.4", `{"kty":"EC-HSM","attributes":{"exportable":true},"release_policy":{"data":"e30"}}`, false)
	f.Add("PUT", "/keys/a?api-version=7.4", `{"Hsm":true,"key":{"kty":"EC","crv":"P-256K","x":"AQ","y":"AQ","d":"AQ"}}`, false)
	f.Add("PATCH", "/keys/k/?api-version=7.4", `{"attributes":{"exp":-1},"key_ops":["x"],"tags":{"":""}}`, true)
	f.Add("POST", "/keys/k//release?api-version=7.4", `{"target":"e30.eyJpc3MiOiJodHRwczovL21hYS5sb2NhbGhvc3QifQ.good"}`, false)
	f.Add("POST", "/keys/k/sign?api-version=7.4", `{"alg":"ES256K","value":"AA"}`, true)
	f.Add("POST", "/rng?api-version=7.4", `{"count":1e9}`, true)
	f.Add("DELETE", "/deletedkeys/%2e%2F?api-version=7.4", ``, false)
	f.Add("PUT", "/keys/k/rotationpolicy?api-version=7.4",
		`{"lifetimeActions":[{"action":{"type":""},"trigger":{"timeAfterCreate":"P999Y9999M99999D"}}],"attributes":{"expiryTime":"P0D"}}`, true)
	f.Add("POST", "/keys/restore?api-version=7.4", `{"value":"JkF6dXJlS2V5VmF1bHRLZXlCYWNrdXBWMS5taWNyb3NvZnQuY29t"}`, false)
	f.Add("POST", "/keys/k/rotate?api-version=7.4", ``, true)
	f.Fuzz(func(t *testing.T, method, path, body string, managed bool) {
		if strings.Contains(body, "RSA") {
			t.Skip("RSA key generation is slow")
		}
		s := newSession(t, map[bool]Flavour{false: KeyVault, true: ManagedHSM}[managed], nil)
		s.must(http.StatusOK, "POST", "/keys/k/create", exportableEC(goodPolicy))
		r, err := http.NewRequestWithContext(t.Context(), method, "https://"+testHost+path, strings.NewReader(body))
		if err != nil {
			t.Skip("not a request")
		}
		r.Header.Set("Authorization", "Bearer "+testToken)
		w := httptest.NewRecorder()
		s.vault.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError || w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
	})
}
