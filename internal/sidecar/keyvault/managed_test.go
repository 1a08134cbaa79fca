package keyvault

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestManaged checks that the endpoint of managed identities returns the token only to a client that has it.
func TestManaged(t *testing.T) {
	h, token := newHandler(t, func(http.ResponseWriter, *http.Request) { t.Error("the request reached the server") }, "keys.localhost")
	for name, c := range map[string]struct {
		method, host, header string
		status               int
	}{
		"the token":    {http.MethodGet, "localhost:8443", token, http.StatusOK},
		"another":      {http.MethodGet, "localhost:8443", "other", http.StatusUnauthorized},
		"none":         {http.MethodGet, "localhost:8443", "", http.StatusUnauthorized},
		"another host": {http.MethodGet, "evil.example", token, http.StatusForbidden},
		"POST":         {http.MethodPost, "localhost:8443", token, http.StatusNotFound},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, managedPath+"?api-version=2019-08-01&resource=https://vault.azure.net", nil)
		r.Host = c.host
		r.Header.Set("X-Identity-Header", c.header)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status || (c.status != http.StatusOK) == strings.Contains(w.Body.String(), token) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if c.status != http.StatusOK {
			continue
		}
		var got map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got["access_token"] != token || got["resource"] != azureResource {
			t.Errorf("%s: %s, %v", name, w.Body, err)
		}
	}
}

// TestChallenge checks that clients which compare the resource with the host accept names with a dot.
func TestChallenge(t *testing.T) {
	for host, want := range map[string]string{
		"localhost:8443": azureResource, "127.0.0.1:8443": azureResource, "[::1]:8443": azureResource, "::1": azureResource,
		"keys.localhost:8443": "https://localhost:8443", "Keys.Contoso.Internal": "https://contoso.internal",
		"skr.vault.azure.net": azureResource,
	} {
		if got := resourceOf(host); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}
