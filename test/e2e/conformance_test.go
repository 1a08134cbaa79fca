package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"skr/internal/check"
	"skr/internal/operator/conformance"
	"skr/test/emulator"
)

// conforms runs skrctl conformance, expects all checks to be the same, and returns its report.
func conforms(t *testing.T, args ...string) (document, report string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	stdout, stderr, code := operate(t, nil, "", append([]string{"conformance", "--output", "json", "--report", file}, args...)...)
	if code != 0 {
		t.Errorf("exit code %d: %s\n%s", code, stderr, stdout)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Same, Differs, Skipped int
		NotServed              int `json:"not_served"`
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || got.Same < 60 || got.Differs+got.NotServed+got.Skipped > 0 {
		t.Errorf("%v: %+v\n%s", err, got, stdout)
	}
	return stdout, string(text)
}

// skr keeps both contracts, over TCP and over a socket. No output holds the released key, a token, or
// a name that the operator gave.
func TestConformance(t *testing.T) {
	t.Parallel()
	l := newLab(t, emulator.Config{})
	socket := filepath.Join(t.TempDir(), "skr.sock")
	onSocket := start(t, append(l.cloud.Environment(l.cloud.Machine()), "SKR_LISTEN=unix:"+socket))
	names := []string{"--maa", l.cloud.AttestationHost(), "--vault", l.vault, "--kid", "k"}
	s := l.sidecar(t).ready(t)
	key, err := s.client.ReleaseKey(t.Context(), l.request())
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(key.JWK, &members); err != nil {
		t.Fatal(err)
	}
	document, report := conforms(t, append(names, "--sidecar", "http://"+s.address)...)
	for _, secret := range []string{members["d"].(string), members["n"].(string), "eyJ", l.vault, l.cloud.AttestationHost(), s.address} {
		if strings.Contains(document+report, secret) {
			t.Errorf("the output holds %.20q", secret)
		}
	}
	for _, want := range []string{
		`"released": true`, `"sidecar": "http on this machine"`, `"requests": 48`, `"kty": "string, 3 bytes"`, `"content_type": "application/json"`,
	} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %s", want)
		}
	}
	if _, stderr, code := once(t, nil, "", "healthcheck", "--listen", "unix:"+socket, "--wait", "20s"); code != 0 {
		t.Fatal(stderr)
	}
	stdout, stderr, code := operate(t, nil, "", append([]string{"conformance", "--sidecar", "unix:" + socket}, names...)...)
	if code != 0 || !strings.Contains(stdout, "0 differ, 0 not served, 1 skipped") || !strings.Contains(stdout, "on a unix socket every Host is allowed") {
		t.Errorf("exit code %d: %s\n%s\n%s", code, stderr, stdout, onSocket.log)
	}
}

// skr in the place of the reference sidecar, started without a command and by the reference's
// settings alone, keeps both contracts.
func TestConformanceOfTheDropIn(t *testing.T) {
	t.Parallel()
	_, s := dropIn(t, func(cloud *emulator.Cloud) []string { return must(cloud.WorkloadIdentity()) })
	conforms(t, "--sidecar", "http://"+s.address, "--maa", realMAA, "--vault", realVault, "--kid", "k1")
}

// A sidecar that limits its callers refuses most requests, and one without a device the evidence.
// The report says so, and finds no difference.
func TestConformanceIsSkipped(t *testing.T) {
	t.Parallel()
	l := newLab(t, emulator.Config{})
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("conformance-of-a-caller"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ variable, want string }{
		"callers": {`SKR_ACCESS=[{"name":"app","token_file":"` + token + `","routes":["*"],"keys":["*"]}]`,
			"refused with 403 caller_not_allowed: the sidecar limits its callers, and no token is sent"},
		"device": {"SKR_REPORT_SOURCE=unix:/nonexistent", "refused with 500 no_evidence: this machine makes no report"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, append(l.cloud.Environment(l.cloud.Machine()), c.variable))
			stdout := ""
			eventually(t, "skr listens", func() bool {
				var code int
				stdout, _, code = operate(t, nil, "", "conformance", "--sidecar", "http://"+s.address)
				return code == 0 || code == 3
			})
			if !strings.Contains(stdout, c.want) || !strings.Contains(stdout, " 0 differ, 0 not served, ") {
				t.Error(stdout)
			}
		})
	}
}

// breakage changes one thing in the answers of a real sidecar.
type breakage struct {
	name     string
	applies  func(*http.Request) bool
	change   func(*http.Response, []byte) []byte
	check    string // that must tell
	contract conformance.Contract
	want     string // what it must say
}

func at(method, path string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return r.Method == method && r.URL.Path == path && r.Header.Get("Origin") == ""
	}
}

func replaced(old, with string) func(*http.Response, []byte) []byte {
	return func(_ *http.Response, body []byte) []byte { return bytes.ReplaceAll(body, []byte(old), []byte(with)) }
}

func withStatus(status int) func(*http.Response, []byte) []byte {
	return func(r *http.Response, body []byte) []byte {
		r.StatusCode = status
		return body
	}
}

func withHeader(name, value string) func(*http.Response, []byte) []byte {
	return func(r *http.Response, body []byte) []byte {
		r.Header.Set(name, value)
		return body
	}
}

func withText(_ *http.Response, _ []byte) []byte { return []byte("something went wrong") }

var (
	raw     = at(http.MethodPost, "/attest/raw")
	release = at(http.MethodPost, "/key/release")
)

var breakages = []breakage{
	{"content type", at("GET", "/status"), withHeader("Content-Type", "text/plain"), "status", conformance.Reference,
		"the reference's contract: the content type is text/plain, not application/json"},
	{"missing member", raw, replaced(`"report"`, `"rapport"`), "raw", conformance.Reference,
		"the reference's contract: member report is missing or is not a string"},
	{"another member", at("GET", "/status"), replaced(`{"message"`, `{"uptime":1,"message"`), "status", conformance.Own,
		`skr's contract: api/openapi.yaml has no member uptime in the answer`},
	{"another member of an error", raw, replaced(`{"error"`, `{"details":1,"error"`), "array", conformance.Own,
		`api/openapi.yaml has no member details in the answer`},
	{"another type", at("GET", "/readyz"), replaced(`"ready":true`, `"ready":1`), "ready", conformance.Own, `member ready of the answer breaks "type"`},
	{"another message", at("GET", "/status"), replaced("Status OK", "OK"), "status", conformance.Reference, "member message is none of"},
	{"status 201", raw, withStatus(201), "raw-form-type", conformance.Reference, "the status is 201, not 200"},
	{"success for an unknown key", release, func(r *http.Response, body []byte) []byte {
		if r.StatusCode == http.StatusNotFound {
			r.StatusCode = 200
		}
		return body
	}, "unknown-key", conformance.Reference, "the status is 200, which clients take for a success"},
	{"error as text", release, func(r *http.Response, body []byte) []byte {
		if r.StatusCode != http.StatusOK {
			r.Header.Set("Content-Type", "text/plain")
			return withText(r, body)
		}
		return body
	}, "missing-release", conformance.Own, "the content type is text/plain, not application/json"},
	{"error as text that claims JSON", release, func(r *http.Response, body []byte) []byte {
		if r.StatusCode == http.StatusNotAcceptable || r.StatusCode == http.StatusBadRequest {
			return withText(r, body)
		}
		return body
	}, "error-accept", conformance.Own, "the body is not one JSON object"},
	{"unknown code", raw, replaced("bad_request", "bad"), "not-json", conformance.Own, "the code is not bad_request"},
	{"without code", raw, replaced(`"code":"bad_request",`, ""), "array", conformance.Own, "the code is not bad_request"},
	{"report of other data", raw, func(r *http.Response, body []byte) []byte {
		if r.StatusCode != http.StatusOK {
			return body
		}
		return append(append(bytes.Clone(body[:len(`{"report":"`)+0x50*2]), "00"...), body[len(`{"report":"`)+0x50*2+2:]...)
	}, "raw", conformance.Reference, "is a report over other data"},
	{"upper-case hex", raw, func(_ *http.Response, body []byte) []byte {
		head, hex, found := strings.Cut(string(body), `{"report":"`)
		if !found {
			return body
		}
		return []byte(head + `{"report":"` + strings.ToUpper(hex))
	}, "raw", conformance.Own, `member report of the answer breaks "pattern"`},
	{"endorsements in DER", at("POST", "/attest/combined"), func(_ *http.Response, body []byte) []byte {
		head, rest, found := strings.Cut(string(body), `"endorsements":"`)
		_, tail, closed := strings.Cut(rest, `"`)
		if !found || !closed {
			return body
		}
		return []byte(head + `"endorsements":"MIIB"` + tail)
	}, "combined", conformance.Reference,
		"member endorsements is not base64 of certificates in PEM"},
	{"token of two parts", at("POST", "/attest/maa"), replaced(".", ""), "maa", conformance.Reference, "member token is not a token of three parts"},
	{"key without d", release, replaced(`\"d\":`, `\"dd\":`), "release", conformance.Reference, "member key is a JWK (RSA) without d in base64url"},
	{"key with kid", release, replaced(`\"kty\":`, `\"kid\":\"k\",\"kty\":`), "release-null", conformance.Reference, "member key is a JWK with kid"},
	{"key as an object", release, replaced(`"key":"`, `"key":{},"text":"`), "release", conformance.Reference, "member key is missing or is not a string"},
	{"key without its identifier", release, withHeader("X-Skr-Key-Id", ""), "release", conformance.Own, "header X-Skr-Key-Id is missing or malformed"},
	{"cache", at("GET", "/readyz"), withHeader("Cache-Control", "public"), "ready", conformance.Own, "Cache-Control is not no-store"},
	{"request id", at("GET", "/readyz"), withHeader("X-Request-Id", "mine"), "ready", conformance.Own, "X-Request-Id is not the request's"},
	{"undocumented status", at("GET", "/key/watch"), withStatus(418), "watch", conformance.Own, "api/openapi.yaml has no status 418 here"},
	{"without Allow", at("PUT", "/key/release"), func(r *http.Response, body []byte) []byte {
		r.Header.Del("Allow")
		return body
	}, "method-release", conformance.Own, "an answer with status 405 lacks Allow"},
	{"web pages", func(r *http.Request) bool { return r.Header.Get("Origin") != "" }, withStatus(200), "foreign-origin", conformance.Own,
		"the status is 200, not 403"},
	{"a route that is gone", at("POST", "/key/sign"), withStatus(404), "sign", conformance.Own, "status 404: the sidecar has no POST /key/sign"},
}

// changed is the sidecar with a proxy in front of it that breaks one thing.
func changed(t *testing.T, s *sidecar, b breakage) conformance.Address {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: s.address}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			// A body that is still read when the answer comes would end the connection.
			body, err := io.ReadAll(r.In.Body)
			if err != nil {
				t.Error(err)
			}
			r.Out.Body, r.Out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			if r.In.Host == "conformance.invalid" {
				r.Out.Host = r.In.Host
			}
		},
		ModifyResponse: func(r *http.Response) error {
			if !b.applies(r.Request) {
				return nil
			}
			body, err := io.ReadAll(r.Body)
			_ = r.Body.Close()
			body = b.change(r, body)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			r.Header.Del("Content-Length")
			return err
		},
	})
	t.Cleanup(proxy.Close)
	address, err := conformance.ParseAddress(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// sent is the request of a check.
func sent(t *testing.T, report *conformance.Report, name string) *http.Request {
	t.Helper()
	for _, e := range report.Exchanges {
		if e.Check == name {
			r := httptest.NewRequest(e.Method, e.Path, nil)
			if name == "foreign-origin" {
				r.Header.Set("Origin", "https://conformance.invalid")
			}
			return r
		}
	}
	t.Fatalf("no request was sent for %s", name)
	return nil
}

// Each breakage of a real sidecar's answers is found by the check that is named for it, and by no
// check of another route.
func TestConformanceFindsWhatDiffers(t *testing.T) {
	t.Parallel()
	l := newLab(t, emulator.Config{})
	s := l.sidecar(t).ready(t)
	nothing := breakage{name: "nothing", applies: func(*http.Request) bool { return false }}
	for _, b := range append(breakages, nothing) {
		t.Run(b.name, func(t *testing.T) {
			report, err := conformance.Run(context.WithoutCancel(t.Context()), conformance.Config{
				Sidecar: changed(t, s, b), Timeout: time.Minute, Authority: l.cloud.AttestationHost(), Vault: l.vault, Key: "k",
			})
			if err != nil {
				t.Fatal(err)
			}
			if b.check == "" {
				if report.Differs+report.NotServed+report.Skipped > 0 {
					t.Errorf("%s", report.Count())
				}
				return
			}
			found := false
			for _, result := range report.Printed().Results {
				if result.Outcome != check.OK && !b.applies(sent(t, report, result.Name)) {
					t.Errorf("%s differs too: %s", result.Name, result.Found)
				}
				if result.Name == b.check && result.Subject == string(b.contract) {
					found = strings.Contains(result.Found, b.want) && (result.Outcome == check.Failed || result.Outcome == check.Warning)
					if !found {
						t.Errorf("%s (%s): %s", result.Name, result.Subject, result.Found)
					}
				}
			}
			if !found || report.Same < 40 || report.Conforms() {
				t.Errorf("%s", report.Count())
			}
		})
	}
}
