package conformance

import (
	"net/http"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

func full(t testing.TB) Config {
	t.Helper()
	address, err := ParseAddress("http://localhost:8080")
	if err != nil {
		t.Fatal(err)
	}
	return Config{Sidecar: address, Authority: "maa.example", Vault: "vault.example", Key: "k"}
}

// Each request is as its probe says: good or bad by the document. Each operation of the document has
// a good request, names of checks are unique, and each route that both sidecars have is checked by
// both contracts.
func TestProbes(t *testing.T) {
	d, err := described()
	if err != nil {
		t.Fatal(err)
	}
	names, covered, both := make(map[string]bool), make(map[*openapi3.Operation]bool), make(map[string]bool)
	for _, p := range probesFor(full(t)) {
		if names[p.name] || p.name == "" || p.reference == nil && p.own == nil || p.skip != "" {
			t.Errorf("%q: the name is not unique, or nothing is checked, or it is skipped: %q", p.name, p.skip)
		}
		names[p.name] = true
		if err := d.agrees(p); err != nil {
			t.Error(err)
		}
		input, _, err := d.input(p)
		if err != nil {
			t.Fatal(err)
		}
		covered[input.Route.Operation] = covered[input.Route.Operation] || p.verdict == good
		if p.reference != nil && p.own != nil && p.verdict == good {
			both[p.path] = true
		}
	}
	for path, item := range d.spec.Paths.Map() {
		for method, operation := range item.Operations() {
			if !covered[operation] {
				t.Errorf("no good request for %s %s", method, path)
			}
		}
	}
	for _, path := range []string{"/status", "/attest/raw", "/attest/combined", "/attest/maa", "/key/release"} {
		if !both[path] {
			t.Errorf("no good request for %s by both contracts", path)
		}
	}
}

// Without names nothing is released, and no request has a header with a token.
func TestProbesAreSafe(t *testing.T) {
	c := full(t)
	c.Vault, c.Key = "", ""
	for _, p := range probesFor(c) {
		if p.succeeds && p.skip == "" && p.path != "/attest/raw" && p.path != "/attest/combined" && p.path != "/attest/maa" {
			t.Errorf("%s asks for a key", p.name)
		}
	}
	for _, p := range probesFor(full(t)) {
		request, err := p.request(t.Context(), "http://localhost")
		if err != nil {
			t.Fatal(err)
		}
		if request.Header.Get("Authorization") != "" || request.URL.Query().Has("access_token") {
			t.Errorf("%s sends a token", p.name)
		}
		if p.method == http.MethodPost && request.Header.Get("Content-Type") == "" {
			t.Errorf("%s has no content type", p.name)
		}
	}
}

// The contract of the reference alone sends no request of which it says nothing.
func TestOnlyReference(t *testing.T) {
	c := full(t)
	c.Contract = Reference
	probes := probesFor(c)
	for _, p := range probes {
		if p.reference == nil {
			t.Errorf("%s is none of the reference's", p.name)
		}
	}
	if len(probes) < 15 || len(probes) >= len(probesFor(full(t))) {
		t.Errorf("%d requests", len(probes))
	}
}

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"http://localhost:8080":  "http on this machine",
		"http://127.0.0.1:8080/": "http on this machine",
		"http://[::1]:8080":      "http on this machine",
		"https://skr.example/x":  "https to another machine",
		"http://10.0.0.7:8080":   "http to another machine",
		"unix:/run/skr.sock":     "unix socket",
	} {
		a, err := ParseAddress(text)
		if err != nil || a.kind != want || a.IsExposed() != (want == "http to another machine") || a.String() != text {
			t.Errorf("%s: %+v, %v", text, a, err)
		}
	}
	for _, text := range []string{"", "localhost:8080", "unix:", "ftp://localhost", "http://", "http://:8080", "http://u:p@localhost", "http://localhost?x=1",
		"http://localhost?", "http://localhost/#", "http://localhost#x"} {
		if a, err := ParseAddress(text); err == nil {
			t.Errorf("%q is accepted: %+v", text, a)
		}
	}
}
