package stranger

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The codes of the error table.
const (
	badRequest           = "bad_request"
	endpointNotAllowed   = "endpoint_not_allowed"
	callerNotAllowed     = "caller_not_allowed"
	noEvidence           = "no_evidence"
	noEndorsements       = "no_endorsements"
	attestationRejected  = "attestation_rejected"
	releaseRejected      = "release_rejected"
	keyNotFound          = "key_not_found"
	throttled            = "throttled"
	unavailable          = "unavailable"
	untrustedResponse    = "untrusted_response"
	routeRaw             = "/attest/raw"
	routeCombined        = "/attest/combined"
	routeToken           = "/attest/maa"
	routeRelease         = "/key/release"
	firmwareError        = "the firmware says no"
	mebibyte             = 1 << 20
	forbiddenByPolicy    = "Target environment attestation does not meet key release policy requirements"
	forbiddenByAuthority = "Native operation failed with 65518: Policy Evaluation Error has occurred"
)

// TestWrongRequests sends wrong requests to one sidecar. None of them may cause a request
// to another machine.
func TestWrongRequests(t *testing.T) {
	w := newWorld(t)
	s := w.start(t)
	s.wantStatus(t) // readiness requests one report
	before := len(w.seen.all())
	t.Run("methods", s.refuseMethods)
	t.Run("bodies", s.refuseBodies)
	t.Run("members", s.refuseMembers)
	t.Run("callers", s.refuseCallers)
	for _, v := range w.seen.all()[before:] {
		if v.server != "report socket" {
			t.Errorf("a wrong request caused %s %s at %s", v.method, v.path, v.server)
		}
	}
}

// refuseMethods tries each route with other methods, and other routes. It expects a status
// of failure and the error body.
func (s *sidecar) refuseMethods(t *testing.T) {
	for route, right := range map[string]string{
		"/status": http.MethodGet, routeRaw: http.MethodPost, routeCombined: http.MethodPost,
		routeToken: http.MethodPost, routeRelease: http.MethodPost,
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions} {
			if method == right || method == http.MethodGet && route == routeRelease { // which a query asks
				continue
			}
			got := s.send(t, method, route, "{}", nil)
			got.wantRefusal(t, http.StatusMethodNotAllowed, badRequest)
			if !strings.Contains(got.header.Get("Allow"), right) {
				t.Errorf("%s %s: Allow = %q, want %s", method, route, got.header.Get("Allow"), right)
			}
		}
	}
	for _, route := range []string{
		"/", "/key", "/key/release//", "/key/release/x", "/attest", "//key/release", "/key//release", "/key/../key/release", "/KEY/release",
	} {
		s.send(t, http.MethodPost, route, "{}", nil).wantRefusal(t, http.StatusNotFound, badRequest)
	}
}

func (s *sidecar) refuseBodies(t *testing.T) {
	for name, body := range map[string]string{
		"empty": "", "word": "x", "null": "null", "list": "[]", "string": `"x"`, "not UTF-8": "\xff", "open": `{"kid":"k1"`,
		"two values": `{"kid":"k1"}{}`, "deep": strings.Repeat("[", 100000), "large": `{"kid":"` + strings.Repeat("a", 2*mebibyte) + `"}`,
		"form": "kid=k1&maa_endpoint=" + authorityName, "no members": "{}", "NUL": "{\x00}",
	} {
		t.Run(name, func(t *testing.T) {
			for _, route := range []string{routeRaw, routeCombined, routeToken, routeRelease} {
				s.send(t, http.MethodPost, route, body, nil).wantRefusal(t, http.StatusBadRequest, badRequest)
			}
		})
	}
}

// refuseMembers makes one member of a good request wrong.
func (s *sidecar) refuseMembers(t *testing.T) {
	refuse := func(route string, body object, member string, status int, code string, values ...any) {
		for _, value := range values {
			body[member] = value
			s.post(t, route, body).wantRefusal(t, status, code)
		}
	}
	for _, route := range []string{routeRaw, routeCombined, routeToken} {
		body := runtimeRequest(nil)
		if route == routeToken {
			body["maa_endpoint"] = authorityName
		}
		refuse(route, body, "runtime_data", 400, badRequest, nil, "", 5, true, object{}, "@@@", "e", "e3=", "e30==", "{}")
	}
	refuse(routeToken, runtimeRequest(object{"maa_endpoint": authorityName}), "runtime_data", 400, badRequest,
		base64.StdEncoding.EncodeToString([]byte("not JSON")))
	for member, host := range map[string]string{"maa_endpoint": authorityName, "akv_endpoint": vaultName} {
		label := map[string]string{"maa_endpoint": "attest", "akv_endpoint": "vault"}[member]
		refuse(routeRelease, releaseRequest(nil), member, 400, badRequest, nil, "", 5, "http://"+host, "ftp://"+host,
			"user@"+host, "elsewhere.example@"+host, "elsewhere.example#."+host, "elsewhere.example/."+host, "elsewhere.example?."+host,
			host+"/keys", host+" ", host+"\n", host+"\r\nX: y", "https://", "https://https://"+host, "127.0.0.1", "[::1]", "localhost:x")
		refuse(routeRelease, releaseRequest(nil), member, 403, endpointNotAllowed, "elsewhere.example", host+".elsewhere.example",
			"evil"+label+".azure.net", "my.evil"+label+".azure.net", "my."+label+".azure.example", host+":444", "https://elsewhere.example")
	}
	refuse(routeRelease, releaseRequest(nil), "akv_endpoint", 403, endpointNotAllowed, authorityName, "managedhsm.azure.net", "vault.azure.net")
	refuse(routeRelease, releaseRequest(nil), "maa_endpoint", 403, endpointNotAllowed, vaultName, "attest.azure.net")
	refuse(routeToken, runtimeRequest(nil), "maa_endpoint", 403, endpointNotAllowed, "elsewhere.example")
	refuse(routeRelease, releaseRequest(nil), "kid", 400, badRequest, nil, "", 5, "/k1", "k1//", "../k1", "k1/..", "k1/../k2", "k1/"+keyVersion+"/x",
		"k1?api-version=7.4", "k1#x", "k1%2f..", "k 1", "k_1", "k1\n", "https://elsewhere.example/keys/k1",
		"https://"+vaultName+"/secrets/k1", strings.Repeat("k", 4096))
	refuse(routeRelease, releaseRequest(nil), "access_token", 400, badRequest, 5, true, "a\r\nX: y", "a b", "ä")
}

// refuseCallers sends requests as a web page would, with and without DNS rebinding.
func (s *sidecar) refuseCallers(t *testing.T) {
	for _, host := range []string{"elsewhere.example", "elsewhere.example:" + strconv.Itoa(s.port), "localhost.elsewhere.example", "127.0.0.1.elsewhere.example"} {
		got := s.send(t, http.MethodPost, routeRaw, "{}", func(r *http.Request) { r.Host = host })
		got.wantRefusal(t, http.StatusForbidden, callerNotAllowed)
	}
	got := s.send(t, http.MethodPost, routeRaw, "{}", func(r *http.Request) { r.Header.Set("Origin", "https://elsewhere.example") })
	got.wantRefusal(t, http.StatusForbidden, callerNotAllowed)
}

// refusal is a world in which a release must fail, and the expected failure.
type refusal struct {
	name    string
	bend    func(*world)
	status  int
	code    string
	reaches bool // whether the vault gets a request, and with it the access token
}

func (r refusal) refuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r.bend(w)
	s := w.start(t)
	got := s.send(t, http.MethodPost, routeRelease, encode(releaseRequest(nil)), nil)
	got.wantRefusal(t, r.status, r.code)
	if r.code == throttled && got.header.Get("Retry-After") == "" {
		t.Error("throttled without Retry-After")
	}
	var shown []string
	if r.reaches {
		shown = []string{"vault"}
	}
	w.wantTokenOnlyAt(t, shown...)
	if (r.code == noEvidence || r.code == noEndorsements) && len(w.seen.at("authority")) != 0 {
		t.Error("evidence left the machine unverified")
	}
}

// TestUnwillingServers lists the ways in which each server may refuse or fail.
func TestUnwillingServers(t *testing.T) {
	for _, r := range []refusal{
		{name: "no device", bend: func(w *world) { w.report.before = answers(500, object{"error": firmwareError}) }, status: 500, code: noEvidence},
		{name: "no certificates", bend: func(w *world) { w.thim.before = status(404) }, status: 502, code: noEndorsements},
		{name: "attestation policy", bend: func(w *world) {
			w.authority.before = at("/attest/SevSnpVm", answers(400, azure("PolicyEvaluationError", forbiddenByAuthority)))
		}, status: 403, code: attestationRejected},
		{name: "evidence refused", bend: func(w *world) {
			w.authority.before = at("/attest/SevSnpVm", answers(400, azure("InvalidParameter", "bad report")))
		}, status: 403, code: attestationRejected},
		{name: "authority throttles", bend: func(w *world) { w.authority.before = throttles }, status: 503, code: throttled},
		{name: "authority fails", bend: func(w *world) { w.authority.before = status(500) }, status: 503, code: unavailable},
		{name: "authority is unreachable", bend: func(w *world) { w.proxy.names[authorityName+":443"] = "127.0.0.1:1" }, status: 503, code: unavailable},
		{name: "access token refused", bend: func(w *world) { w.vault.token = "another" }, status: 403, code: releaseRejected, reaches: true},
		{name: "release policy", bend: func(w *world) {
			w.vault.before = answers(403, azure("Forbidden", forbiddenByPolicy))
		}, status: 403, code: releaseRejected, reaches: true},
		{name: "no such key", bend: func(w *world) {
			w.vault.before = answers(404, azure("KeyNotFound", "no key k1"))
		}, status: 404, code: keyNotFound, reaches: true},
		{name: "vault throttles", bend: func(w *world) { w.vault.before = throttles }, status: 503, code: throttled, reaches: true},
		{name: "vault fails", bend: func(w *world) { w.vault.before = status(503) }, status: 503, code: unavailable, reaches: true},
		{name: "vault is unreachable", bend: func(w *world) { w.proxy.names[vaultName+":443"] = "127.0.0.1:1" }, status: 503, code: unavailable},
	} {
		t.Run(r.name, r.refuse)
	}
}

// TestUntrustworthyServers lists answers that are not authentic, or that answer another
// question.
func TestUntrustworthyServers(t *testing.T) {
	claim := func(name string, value any) func(*world) {
		return func(w *world) { w.authority.claims = func(claims object) { claims[name] = value } }
	}
	state := func(bend func(object)) func(*world) { return func(w *world) { w.vault.statement = bend } }
	authority := []refusal{
		{name: "no token", bend: func(w *world) { w.authority.before = at("/attest/SevSnpVm", answers(200, object{})) }},
		{name: "not JSON", bend: func(w *world) { w.authority.before = at("/attest/SevSnpVm", status(200)) }},
		{name: "signature of another key", bend: func(w *world) { w.authority.signWith = malloryIdentity().key }},
		{name: "unknown kid", bend: func(w *world) {
			w.authority.kid = "unknown"
			w.authority.keys = func(k object) { k["keys"] = []object{} }
		}},
		{name: "another issuer", bend: claim("iss", "https://other.eus.attest.azure.net")},
		{name: "another nonce", bend: claim("nonce", "1")},
		{name: "expired", bend: claim("exp", time.Now().Add(-time.Hour).Unix())},
		{name: "another kind of machine", bend: claim("x-ms-attestation-type", "sgx")},
		{name: "another report", bend: claim("x-ms-sevsnpvm-reportdata", strings.Repeat("00", 64))},
		{name: "another wrapping key", bend: claim("x-ms-runtime", object{"keys": []object{}})},
		{name: "keys on another host", bend: func(w *world) {
			w.authority.discovery = func(document object) { document["jwks_uri"] = "https://elsewhere.example/certs" }
		}},
		{name: "TLS of an untrusted CA", bend: func(w *world) { w.drop = []string{"SSL_CERT_FILE"} }},
	}
	vault := []refusal{
		{name: "no statement", bend: func(w *world) { w.vault.before = answers(200, object{}) }},
		{name: "signed under another CA", bend: func(w *world) { w.vault.signer = malloryIdentity() }},
		{name: "signed by another host", bend: func(w *world) { w.vault.signer = elsewhereIdentity() }},
		{name: "signed by a managed HSM", bend: func(w *world) { w.vault.signer = hsmIdentity() }},
		{name: "no x5c", bend: func(w *world) { w.vault.header = func(h object) { delete(h, "x5c") } }},
		{name: "empty x5c", bend: func(w *world) { w.vault.header = func(h object) { h["x5c"] = []string{} } }},
		{name: "request for another key", bend: state(func(s object) { asked(s)["kid"] = "https://" + vaultName + "/keys/k2" })},
		{name: "request for another enc", bend: state(func(s object) { asked(s)["enc"] = "CKM_RSA_AES_KEY_WRAP" })},
		{name: "request with another nonce", bend: state(func(s object) { asked(s)["nonce"] = "1" })},
		{name: "another key released", bend: state(func(s object) { releasedJWK(s)["kid"] = "https://" + vaultName + "/keys/k2/" + keyVersion })},
		{name: "another public half", bend: state(func(s object) { releasedJWK(s)["n"] = b64url(hsmIdentity().key.N.Bytes()) })},
		{name: "no ciphertext", bend: state(func(s object) { releasedJWK(s)["key_hsm"] = b64url([]byte(`{"ciphertext":"AA"}`)) })},
		{name: "truncated key", bend: func(w *world) { w.vault.key.plaintext = w.vault.key.plaintext[:100] }},
	}
	for _, r := range authority {
		r.status, r.code = http.StatusBadGateway, untrustedResponse
		t.Run("authority, "+r.name, r.refuse)
	}
	for _, r := range vault {
		r.status, r.code, r.reaches = http.StatusBadGateway, untrustedResponse, true
		t.Run("vault, "+r.name, r.refuse)
	}
}

// TestUntrustworthySilicon lists evidence that must not leave the machine.
func TestUntrustworthySilicon(t *testing.T) {
	replay := answers(200, object{"report": hex.EncodeToString(milan().report(3, measurement, random(64)))})
	for _, r := range []refusal{
		{name: "an older report", bend: func(w *world) { w.report.before = replay }, status: 500, code: noEvidence},
		{name: "no report", bend: func(w *world) { w.report.before = answers(200, object{"report": "00"}) }, status: 500, code: noEvidence},
		{name: "an error with status 200", bend: func(w *world) { w.report.before = answers(200, object{"error": firmwareError}) }, status: 500, code: noEvidence},
		{name: "certificates of another TCB", bend: func(w *world) {
			w.thim.document["vcekCert"] = pemOf(milan().endorse(vcekTemplate("Milan-B0", 0xDA18000000000004, milan().chip)))
		}, status: 502, code: noEndorsements},
		{name: "certificates of another chip", bend: func(w *world) {
			w.thim.document["vcekCert"] = pemOf(milan().endorse(vcekTemplate("Milan-B0", chipTCB, random(64))))
		}, status: 502, code: noEndorsements},
		{name: "an untrusted ARK", bend: func(w *world) { w.roots = pemOf(counterfeitARK()) }, status: 502, code: noEndorsements},
		{name: "not PEM", bend: func(w *world) { w.thim.each(func(string) string { return "x" }) }, status: 502, code: noEndorsements},
	} {
		t.Run(r.name, r.refuse)
	}
}

// counterfeitARK returns an ARK with the right name and another key.
func counterfeitARK() *x509.Certificate {
	key := malloryIdentity().key
	return issue(amdAuthority("ARK-Milan", 65536, -1), nil, key.Public(), key)
}

// at limits an intercept to one path.
func at(path string, i intercept) intercept {
	return func(w http.ResponseWriter, r *http.Request) bool { return r.URL.Path == path && i(w, r) }
}

// answers gives the same answer to every request.
func answers(code int, body any) intercept {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		answer(w, code, body)
		return true
	}
}

func azure(code, message string) object {
	return object{"error": object{"code": code, "message": message}}
}

func throttles(w http.ResponseWriter, _ *http.Request) bool {
	w.Header().Set("Retry-After", "0")
	azureError(w, http.StatusTooManyRequests, "Throttled", "too many requests")
	return true
}
