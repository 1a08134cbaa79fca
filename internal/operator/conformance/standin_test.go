package conformance

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/internal/check"
	"skr/test/snptest"
)

// reference answers as the reference sidecar does, by its sources: gin's router and JSON binding, the
// errors of its handlers, 403 for every refusal.
type reference struct{ chip *snptest.Chip }

func newReference(t testing.TB) *reference {
	t.Helper()
	vendor, err := snptest.NewVendor(snp.Milan, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	chip, err := vendor.NewChip()
	if err != nil {
		t.Fatal(err)
	}
	return &reference{chip}
}

func gin(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// releasedKey has a private exponent that no output may show.
const (
	canary      = "Y2FuYXJ5LWNhbmFyeS1jYW5hcnk"
	releasedKey = `{"kty":"RSA","n":"` + canary + `","e":"AQAB","d":"` + canary + `","p":"` + canary + `","q":"` + canary + `","key_ops":["decrypt"]}`
)

func (s *reference) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route := r.Method + " " + r.URL.Path
	needs := map[string][]string{
		"GET /status": {}, "POST /attest/raw": {"runtime_data"}, "POST /attest/combined": {"runtime_data"},
		"POST /attest/maa": {"runtime_data", "maa_endpoint"}, "POST /key/release": {"maa_endpoint", "akv_endpoint", "kid"},
	}
	members, known := needs[route]
	switch {
	case r.URL.Path == "/status/":
		http.Redirect(w, r, "/status", http.StatusMovedPermanently)
		return
	case !known:
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte("404 page not found"))
		return
	case route == "GET /status":
		gin(w, http.StatusOK, `{"message":"Status OK"}`)
		return
	}
	var body struct {
		Runtime string `json:"runtime_data"`
		MAA     string `json:"maa_endpoint"`
		AKV     string `json:"akv_endpoint"`
		KID     string `json:"kid"`
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	given := map[string]string{"runtime_data": body.Runtime, "maa_endpoint": body.MAA, "akv_endpoint": body.AKV, "kid": body.KID}
	for _, name := range members {
		if given[name] == "" {
			err = fmt.Errorf("binding: %s is required", name)
		}
	}
	data, wrong := base64.StdEncoding.DecodeString(body.Runtime)
	if err != nil || wrong != nil {
		gin(w, http.StatusBadRequest, `{"error":"invalid request format"}`)
		return
	}
	s.succeed(w, route, body.MAA, body.KID, data)
}

func (s *reference) succeed(w http.ResponseWriter, route, authority, kid string, data []byte) {
	report, err := s.chip.Report(snp.Bind(data), snptest.Options{})
	if err != nil {
		panic(err)
	}
	switch {
	case route == "POST /attest/raw":
		gin(w, http.StatusOK, `{"report":"`+hex.EncodeToString(report)+`"}`)
	case route == "POST /attest/combined":
		pem := base64.StdEncoding.EncodeToString([]byte("-----BEGIN CERTIFICATE-----\n"))
		gin(w, http.StatusOK, fmt.Sprintf(`{"evidence":%q,"endorsements":%q,"uvm_endorsements":"0oRZ","endorsed_tcb":"DB18000000000004"}`,
			base64.StdEncoding.EncodeToString(report), pem))
	case route == "POST /attest/maa" && authority != "maa.example":
		gin(w, http.StatusForbidden, `{"error":"no such host"}{"token":""}`)
	case route == "POST /attest/maa":
		gin(w, http.StatusOK, `{"token":"eyJhbGciOiJSUzI1NiJ9.e30.`+canary+`"}`)
	case authority != "maa.example" || kid != "k":
		gin(w, http.StatusForbidden, `{"error":"releasing the key failed"}`)
	default:
		text, _ := json.Marshal(releasedKey)
		gin(w, http.StatusOK, `{"key":`+string(text)+`}`)
	}
}

// against runs all checks against a handler.
func against(t *testing.T, h http.Handler, change func(*Config)) (*Report, error) {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	address, err := ParseAddress(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Sidecar: address, Timeout: time.Minute, Authority: "maa.example", Vault: "vault.example", Key: "k"}
	if change != nil {
		change(&c)
	}
	return Run(t.Context(), c)
}

// resultOf returns one contract's result of a check.
func resultOf(r *Report, name string, contract Contract) check.Result {
	for _, result := range r.results {
		if result.Name == name && result.Subject == string(contract) {
			return result
		}
	}
	return check.Result{}
}

// The reference sidecar keeps its own contract in every check. Of skr's contract the report says what
// is not served and what differs.
func TestReferenceSidecar(t *testing.T) {
	report, err := against(t, newReference(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range report.results {
		if result.Subject == string(Reference) && result.Outcome != check.OK {
			t.Errorf("%s: %s", result.Name, result.Found)
		}
	}
	for name, want := range map[string]check.Result{
		"ready":              {Outcome: check.Warning, Found: "status 404: the sidecar has no GET /readyz"},
		"release-get":        {Outcome: check.Warning, Found: "status 404: the sidecar has no GET /key/release"},
		"public":             {Outcome: check.Warning, Found: "status 404: the sidecar has no POST /key/public"},
		"status":             {Outcome: check.Failed, Found: "skr's contract: X-Request-Id is not the request's"},
		"status-slash":       {Outcome: check.Failed, Found: "skr's contract: the answer is a redirect (301), which is not followed"},
		"method-status":      {Outcome: check.Failed, Found: "skr's contract: the status is 404, not 405"},
		"foreign-host":       {Outcome: check.Failed, Found: "skr's contract: the status is 200, not 403"},
		"raw-url-alphabet":   {Outcome: check.Failed, Found: "skr's contract: the status is 400, not 200"},
		"empty-runtime-data": {Outcome: check.Failed, Found: "skr's contract: the status is 200, not 400"},
	} {
		if got := resultOf(report, name, Own); got.Outcome != want.Outcome || got.Found != want.Found {
			t.Errorf("%s: %q", name, got.Found)
		}
	}
	if report.Conforms() || report.NotServed < 9 || report.Differs < 20 {
		t.Error(report.Count())
	}
	shows(t, report)
	only, err := against(t, newReference(t), func(c *Config) { c.Contract = Reference })
	if err != nil || !only.Conforms() || only.Skipped != 0 || only.Same < 20 {
		t.Errorf("the reference's contract alone: %v, %v", only.Count(), err)
	}
}

// shows fails if any output of the report has the canary.
func shows(t *testing.T, r *Report) {
	t.Helper()
	var out strings.Builder
	if err := r.Printed().Write(&out, check.Plain); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String()+string(text), canary) {
		t.Error("the output holds a value of an answer")
	}
	if !strings.Contains(string(text), `"string of JSON":{"d":"string, 27 bytes"`) && r.Released {
		t.Error("the report lacks the shape of the key")
	}
}

// Refusals because of the machine say nothing of a contract, also in the reference's two objects.
func TestRefusalsAreSkipped(t *testing.T) {
	report, err := against(t, newReference(t), func(c *Config) { c.Authority = "other.example" })
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"maa", "release"} {
		if got := resultOf(report, name, Reference); got.Outcome != check.Skipped || !strings.HasPrefix(got.Found, "refused with 403, without a code") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
