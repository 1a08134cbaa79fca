package stranger

import (
	"net/http"
	"strconv"
	"testing"
)

// TestRedirects makes each server of a release redirect the sidecar, with each redirect
// status of HTTP. The sidecar must not follow, and only the named vault may receive the
// access token.
func TestRedirects(t *testing.T) {
	const foreign, sameService = "https://elsewhere.example/x", "https://other.vault.azure.net/keys/k1/release?api-version=7.4"
	steps := []struct {
		name    string
		install func(*world, intercept)
		to      func(*world) string
		status  int
		code    string
		reaches bool
	}{
		{"report socket", func(w *world, i intercept) { w.report.before = i }, bystander, 500, noEvidence, false},
		{"certificates", func(w *world, i intercept) { w.thim.before = i }, bystander, 502, noEndorsements, false},
		{"certificates, same host", func(w *world, i intercept) { w.thim.before = i }, to("/other"), 502, noEndorsements, false},
		{"attestation", func(w *world, i intercept) { w.authority.before = at("/attest/SevSnpVm", i) }, to(foreign), 502, untrustedResponse, false},
		{"discovery", func(w *world, i intercept) { w.authority.before = at("/.well-known/openid-configuration", i) }, to(foreign), 502, untrustedResponse, false},
		{"signing keys", func(w *world, i intercept) { w.authority.before = at("/certs", i) }, to(foreign), 502, untrustedResponse, false},
		{"release", func(w *world, i intercept) { w.vault.before = i }, to(foreign), 502, untrustedResponse, true},
		{"release, plain HTTP", func(w *world, i intercept) { w.vault.before = i }, bystander, 502, untrustedResponse, true},
		{"release, another vault", func(w *world, i intercept) { w.vault.before = i }, to(sameService), 502, untrustedResponse, true},
		{"release, same host", func(w *world, i intercept) { w.vault.before = i }, to("/keys/k1/" + keyVersion + "/release"), 502, untrustedResponse, true},
	}
	for _, step := range steps {
		for _, code := range []int{301, 302, 307, 308} {
			r := refusal{status: step.status, code: step.code, reaches: step.reaches, bend: func(w *world) {
				step.install(w, redirect(code, step.to(w)))
			}}
			t.Run(step.name+", "+strconv.Itoa(code), r.refuse)
		}
	}
}

// TestChallenge answers a release with a challenge that names a foreign token service and
// a foreign resource (RFC 6750, section 3).
func TestChallenge(t *testing.T) {
	challenge := func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("WWW-Authenticate", `Bearer authorization="https://elsewhere.example/tenant", resource="https://elsewhere.example"`)
		azureError(w, http.StatusUnauthorized, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
		return true
	}
	refusal{bend: func(w *world) { w.vault.before = challenge }, status: 403, code: releaseRejected, reaches: true}.refuse(t)
}

// TestForeignKeyURL puts a foreign location of the signing keys into the token's own
// header. The sidecar must not use it (RFC 7515, section 4.1.2).
func TestForeignKeyURL(t *testing.T) {
	w := newWorld(t)
	w.authority.signWith = malloryIdentity().key
	w.authority.header = func(header object) { header["jku"] = "https://elsewhere.example/certs" }
	got := w.start(t).post(t, routeRelease, releaseRequest(nil))
	got.wantRefusal(t, http.StatusBadGateway, untrustedResponse)
	w.wantTokenOnlyAt(t)
}

func redirect(code int, location string) intercept {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Location", location)
		w.WriteHeader(code)
		return true
	}
}

func to(location string) func(*world) string { return func(*world) string { return location } }

func bystander(w *world) string { return "http://" + w.bystander + "/x" }
