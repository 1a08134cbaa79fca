package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"skr/api"
	"skr/attest/snp"
	"skr/internal/refusal"
	"skr/internal/sidecar/access"
	"skr/internal/sidecar/limit"
	"skr/internal/sidecar/ops"
	"skr/keyrelease"
)

const secretText = "hunter2-do-not-print"

func TestStatus(t *testing.T) {
	ready := errors.New("no report device")
	s := newServer(t, newPipeline(t), func(c *Config) { c.Parts = ops.Parts{{Name: "evidence", Err: func() error { return ready }}} })
	got := readJSON[api.StatusResponse](t, ask(t, s, newRequest("GET", api.RouteStatus, "")))
	if got.Message != "Status NOT OK" {
		t.Errorf("message is %q while not ready", got.Message)
	}
	ready = nil
	got = readJSON[api.StatusResponse](t, ask(t, s, newRequest("GET", api.RouteStatus, "")))
	if got.Message != "Status OK" {
		t.Errorf("message is %q while ready", got.Message)
	}
}

// A probe reads the status code. A caller that may not release keys may ask, and sees only
// public causes.
func TestReady(t *testing.T) {
	var evidence, audit error
	var log bytes.Buffer
	s := newServer(t, newPipeline(t), func(c *Config) {
		c.Access = new(access.Policy) // admits no caller
		c.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))
		c.Parts = ops.Parts{{Name: "evidence", Err: func() error { return evidence }}, {Name: "audit", Err: func() error { return audit }}}
	})
	read := func(status int) api.ReadyResponse {
		t.Helper()
		response := ask(t, s, newRequest("GET", api.RouteReady, "")) // checks the answer against openapi.yaml
		var got api.ReadyResponse
		if err := json.NewDecoder(response.Body).Decode(&got); err != nil || response.StatusCode != status {
			t.Errorf("status %d, want %d, %v", response.StatusCode, status, err)
		}
		return got
	}
	if got := read(http.StatusOK); !got.Ready || got.String() != "ready" {
		t.Errorf("got %+v", got)
	}
	evidence, audit = refusal.Because(refusal.NoEvidence, "mount /dev/sev-guest", errors.New(secretText)), errors.New(secretText)
	if got := read(http.StatusServiceUnavailable); got.Ready ||
		got.String() != "audit: not ready, see the log of skr; evidence: no evidence: mount /dev/sev-guest" {
		t.Errorf("got %+v", got)
	}
	evidence = nil
	if got := read(http.StatusServiceUnavailable); got.Parts["evidence"] != api.PartOK || got.Ready {
		t.Errorf("got %+v", got)
	}
	if log.Len() > 0 {
		t.Errorf("probes fill the log: %s", &log)
	}
}

func TestRaw(t *testing.T) {
	s := newServer(t, newPipeline(t), nil)
	got := readJSON[api.RawResponse](t, ask(t, s, newRequest("POST", api.RouteRaw, good[api.RouteRaw])))
	raw, err := hex.DecodeString(got.Report)
	if err != nil {
		t.Fatal(err)
	}
	checkReport(t, raw)
}

func checkReport(t *testing.T, raw []byte) {
	t.Helper()
	report, err := snp.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if report.ReportData() != snp.Bind([]byte("hello")) {
		t.Error("the report is not over the runtime data")
	}
}

func TestCombined(t *testing.T) {
	s := newServer(t, newPipeline(t), nil)
	got := readJSON[api.CombinedResponse](t, ask(t, s, newRequest("POST", api.RouteCombined, good[api.RouteCombined])))
	raw, err := base64.StdEncoding.DecodeString(got.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	checkReport(t, raw)
	if want := "DB1B00000000000A"; got.EndorsedTCB != want {
		t.Errorf("endorsed_tcb is %q, want %q", got.EndorsedTCB, want)
	}
	chain, err := base64.StdEncoding.DecodeString(got.Endorsements)
	if err != nil || bytes.Count(chain, []byte("BEGIN CERTIFICATE")) != 3 {
		t.Errorf("endorsements are not three certificates: %v", err)
	}
	if got.UVMEndorsements != uvmText {
		t.Errorf("uvm_endorsements is %q", got.UVMEndorsements)
	}
}

func TestToken(t *testing.T) {
	s := newServer(t, newPipeline(t), nil)
	got := readJSON[api.MAAResponse](t, ask(t, s, newRequest("POST", api.RouteMAA, good[api.RouteMAA])))
	if string(got.Token) != tokenText {
		t.Errorf("token is %q", string(got.Token))
	}
}

func TestRelease(t *testing.T) {
	p := newPipeline(t)
	var log *bytes.Buffer
	s := newServer(t, p, func(c *Config) { log = logTo(c) })
	body := `{"maa_endpoint":"https://sharedeus.eus.attest.azure.net","akv_endpoint":"contoso.vault.azure.net",` +
		`"kid":"demo/0123456789abcdef0123456789abcdef","access_token":"` + tokenText + `"}`
	response := ask(t, s, newRequest("POST", api.RouteRelease, body))
	got := readJSON[map[string]string](t, response)
	if id := response.Header.Get(api.HeaderKeyID); id != keyID || !strings.Contains(log.String(), `"key":"`+keyID+`"`) {
		t.Errorf("the header has the key identifier %q; log %s", id, log)
	}
	if diff := cmp.Diff(map[string]string{"key": jwkText}, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if p.request.Access.Reveal() != tokenText || p.request.Authority.Host().String() != "sharedeus.eus.attest.azure.net" ||
		p.request.Key.Name() != "demo" {
		t.Errorf("asked for %v at %v", p.request.Key, p.request.Authority)
	}
	if _, err := p.key.JWK(); err == nil {
		t.Error("the key was not wiped")
	}
}

// TestKeyIDIsOfReleases checks that requests that release no key name none, neither in the
// header nor in their log line.
func TestKeyIDIsOfReleases(t *testing.T) {
	p := newPipeline(t)
	var log *bytes.Buffer
	s := newServer(t, p, func(c *Config) { log = logTo(c) })
	ask := func(path, body string) http.Header { return ask(t, s, newRequest("POST", path, body)).Header }
	headers := []http.Header{ask(api.RouteRaw, good[api.RouteRaw]), ask(api.RouteMAA, good[api.RouteMAA]), ask(api.RouteRelease, "{}")}
	p.fail = func(context.Context) error { return refusal.Newf(refusal.ReleaseRejected, "no") }
	for _, header := range append(headers, ask(api.RouteRelease, good[api.RouteRelease])) {
		if id, found := header[http.CanonicalHeaderKey(api.HeaderKeyID)]; found {
			t.Errorf("the header names %q", id)
		}
	}
	if strings.Contains(log.String(), `"key":`) {
		t.Errorf("the log names a key: %s", log)
	}
}

// TestNullIsAbsence checks null, which System.Text.Json, Jackson and Go pointers write.
func TestNullIsAbsence(t *testing.T) {
	p := newPipeline(t)
	s := newServer(t, p, func(c *Config) { c.Aliases = map[string]keyrelease.Request{"demo": {}} })
	for body, status := range map[string]int{
		strings.Replace(good[api.RouteRelease], `}`, `,"access_token":null}`, 1):                     200,
		strings.Replace(good[api.RouteRelease], `{`, `{ "access_token" : null , "alias":null,`, 1):   200,
		`{"alias":"demo","maa_endpoint":null,"akv_endpoint":null,"kid":null,"access_token":null}`:    200,
		`{"alias":null,"maa_endpoint":null,"akv_endpoint":null,"kid":null}`:                          400,
		strings.Replace(good[api.RouteRelease], `"demo"`, `null`, 1):                                 400,
		strings.Replace(good[api.RouteRelease], `{`, `{"kid":null,`, 1):                              400, // duplicate
		strings.Replace(good[api.RouteRelease], `}`, `,"access_token":null,"access_token":null}`, 1): 400,
		strings.Replace(good[api.RouteRelease], `{`, `{"other":null,`, 1):                            200, // member of another request
		strings.Replace(good[api.RouteRelease], `{`, `{"access_token":NULL,`, 1):                     400,
		`null`: 400,
	} {
		if got := ask(t, s, newRequest("POST", api.RouteRelease, body)).StatusCode; got != status {
			t.Errorf("%s got status %d, want %d", body, got, status)
		}
	}
}

// TestRuntimeDataForms checks that one text has one meaning in each base64 alphabet.
func TestRuntimeDataForms(t *testing.T) {
	for text, want := range map[string]string{
		"aGVsbG8=": "hello", "aGVsbG8": "hello", "aGVs\r\nbG8=\r\n": "hello", "aGVs\nbG8": "hello", "aGVsbG8\n=": "hello", "aGVsbG9=": "hello", "aGVsbG9": "hello",
		"-_-_": "\xfb\xff\xbf", "+/+/": "\xfb\xff\xbf", "-_8": "\xfb\xff", "-_8=": "\xfb\xff", "+_8=": "\xfb\xff",
		"AA==": "\x00", "AA": "\x00", "AAAA": "\x00\x00\x00",
		strings.Repeat("QUFB", 19) + "\n" + strings.Repeat("QUFB", 3) + "QQ==\n": strings.Repeat("AAA", 22) + "A",
	} {
		if got, err := parseRuntimeData(text); err != nil || string(got) != want {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "\r\n", "=", "==", "====", "A", "A===", "AA=", "AA===", "AAA==", "AAAA=", "AAAA====", "AAAAA",
		"AA==AA==", "AA=A", "=AAA", "!", "A A=", "A\tA=", "A\x00A=", "AA\u2028==", "AAAé",
		"AA.=", "AA%3D%3D",
	} {
		if got, err := parseRuntimeData(text); !errors.Is(err, refusal.BadRequest) {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
}

// TestAnswerIsWiped checks the buffer that was sent to the network.
func TestAnswerIsWiped(t *testing.T) {
	s := newServer(t, newPipeline(t), nil)
	kept := &keeper{ResponseRecorder: httptest.NewRecorder()}
	s.ServeHTTP(kept, newRequest("POST", api.RouteRelease, good[api.RouteRelease]))
	if kept.Code != http.StatusOK || len(kept.body) == 0 {
		t.Fatalf("answer is %d", kept.Code)
	}
	if slices.ContainsFunc(kept.body, func(b byte) bool { return b != 0 }) {
		t.Error("the answer's buffer still holds the key")
	}
}

type keeper struct {
	*httptest.ResponseRecorder
	body []byte
}

func (k *keeper) Write(body []byte) (int, error) {
	k.body = body
	return len(body), nil
}

func TestMalformed(t *testing.T) {
	s := newServer(t, newPipeline(t), nil)
	for path, body := range good {
		member := "runtime_data"
		if path == api.RouteRelease {
			member = "kid"
		}
		value := readMember(t, body, member)
		tests := map[string]string{
			"empty":            ``,
			"not JSON":         `{"` + secretText,
			"array":            `[]`,
			"string":           `"` + secretText + `"`,
			"null":             `null`,
			"number":           `1`,
			"no members":       `{}`,
			"trailing data":    body + `{}`,
			"trailing comma":   strings.Replace(body, `}`, `,}`, 1),
			"unknown member":   strings.Replace(body, `{`, `{"unknown":"`+secretText+`",`, 1),
			"secret as member": strings.Replace(body, `{`, `{"`+secretText+`.x":"y",`, 1),
			"repeated member":  strings.Replace(body, `{`, `{"`+member+`":"`+value+`",`, 1),
			"escaped repeat":   strings.Replace(body, `{`, `{"\u00`+fmt.Sprintf("%02x", member[0])+member[1:]+`":"`+value+`",`, 1),
			"other capitals":   strings.Replace(body, member, strings.ToUpper(member), 1),
			"capitals beside":  strings.Replace(body, `{`, `{"`+strings.ToUpper(member)+`":"`+secretText+`",`, 1),
			"null member":      strings.Replace(body, `"`+value+`"`, `null`, 1), // the member is required
			"number member":    strings.Replace(body, `"`+value+`"`, `1`, 1),
			"array member":     strings.Replace(body, `"`+value+`"`, `["`+secretText+`"]`, 1),
			"object member":    strings.Replace(body, `"`+value+`"`, `{"a":"`+secretText+`"}`, 1),
			"deep member":      strings.Replace(body, `"`+value+`"`, strings.Repeat(`[`, 5000)+strings.Repeat(`]`, 5000), 1),
			"empty member":     strings.Replace(body, value, ``, 1),
			"not UTF-8":        strings.Replace(body, value, "\xff"+secretText, 1),
			"lone surrogate":   strings.Replace(body, value, `\ud800`, 1),
			"byte order mark":  "\ufeff" + body,
			"form":             member + "=" + value,
		}
		for name, body := range tests {
			t.Run(path+"/"+name, func(t *testing.T) {
				refused := readError(t, ask(t, s, newRequest("POST", path, body)), http.StatusBadRequest, api.BadRequest)
				if strings.Contains(refused.Message, secretText) {
					t.Errorf("the message contains a value: %q", refused.Message)
				}
			})
		}
	}
}

func readMember(t *testing.T, body, member string) string {
	t.Helper()
	var members map[string]string
	if err := json.Unmarshal([]byte(body), &members); err != nil {
		t.Fatal(err)
	}
	return members[member]
}

func TestMalformedMembers(t *testing.T) {
	release := func(maa, akv, kid, token string) string {
		text, _ := json.Marshal(map[string]string{"maa_endpoint": maa, "akv_endpoint": akv, "kid": kid, "access_token": token})
		return string(text)
	}
	data := func(text string) string {
		body, _ := json.Marshal(map[string]string{"runtime_data": text})
		return string(body)
	}
	const maa, akv = "sharedeus.eus.attest.azure.net", "contoso.vault.azure.net"
	tests := []struct {
		name, path, body string
		status           int
		code             api.Code
		says             string
	}{
		{"no base64", api.RouteRaw, data("aGVsb"), 400, api.BadRequest, "runtime_data"},
		{"half the padding", api.RouteRaw, data("aA="), 400, api.BadRequest, "runtime_data"},
		{"a space", api.RouteRaw, data("aGVs bG8="), 400, api.BadRequest, "runtime_data"},
		{"only line endings", api.RouteCombined, data("\r\n"), 400, api.BadRequest, "runtime_data"},
		{"no authority", api.RouteRelease, release("", akv, "demo", ""), 400, api.BadRequest, "maa_endpoint"},
		{"no vault", api.RouteRelease, release(maa, "", "demo", ""), 400, api.BadRequest, "akv_endpoint"},
		{"no kid", api.RouteRelease, release(maa, akv, "", ""), 400, api.BadRequest, `"kid" is missing`},
		{"foreign authority", api.RouteRelease, release("evil.test", akv, "demo", ""), 403, api.EndpointNotAllowed, ""},
		{"foreign vault", api.RouteRelease, release(maa, "evil.test", "demo", tokenText), 403, api.EndpointNotAllowed, ""},
		{"vault with path", api.RouteRelease, release(maa, akv+"/x", "demo", ""), 400, api.BadRequest, ""},
		{"kid with dots", api.RouteRelease, release(maa, akv, "../secrets", ""), 400, api.BadRequest, ""},
		{"token with header", api.RouteRelease, release(maa, akv, "demo", secretText+"\r\nHost: x"), 400, api.BadRequest, "access_token"},
		{"foreign authority", api.RouteMAA, `{"maa_endpoint":"evil.test","runtime_data":"aGVsbG8="}`, 403, api.EndpointNotAllowed, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newPipeline(t)
			p.fail = func(context.Context) error { t.Error("the pipeline was asked"); return nil }
			refused := readError(t, ask(t, newServer(t, p, nil), newRequest("POST", test.path, test.body)), test.status, test.code)
			if !strings.Contains(refused.Message, test.says) || strings.Contains(refused.Message, secretText) {
				t.Errorf("message is %q, want %q in it and no value", refused.Message, test.says)
			}
		})
	}
}

// TestDecodeKeepsText checks text in which encoding/json would insert U+FFFD.
func TestDecodeKeepsText(t *testing.T) {
	for _, text := range []string{`\ud800`, `\udc00`, `\ud800\ud800`, "\ufffd"} {
		var into api.ReleaseRequest
		err := decode([]byte(`{"kid":"`+text+`"}`), membersOf(reflect.TypeFor[api.ReleaseRequest]()), &into)
		if !errors.Is(err, refusal.BadRequest) {
			t.Errorf("%s was decoded as %q, error %v", text, into.KID, err)
		}
	}
}

func TestContentType(t *testing.T) {
	s := newServer(t, newPipeline(t), nil)
	for _, claimed := range []string{
		"", "application/json", "Application/JSON; charset=UTF-8", "application/x-www-form-urlencoded", "text/plain; charset=utf-8", "text/plain;charset=UTF-8",
		"multipart/form-data; boundary=x", "application/json; charset", "application/octet-stream", ";",
	} {
		r := newRequest("POST", api.RouteRaw, good[api.RouteRaw])
		r.Header.Set("Content-Type", claimed)
		if got := ask(t, s, r).StatusCode; got != 200 {
			t.Errorf("Content-Type %q got status %d, want 200", claimed, got)
		}
		r = newRequest("POST", api.RouteRaw, "runtime_data=aGVsbG8=")
		r.Header.Set("Content-Type", claimed)
		readError(t, ask(t, s, r), 400, api.BadRequest) // no other type is tried
	}
	for encoding, status := range map[string]int{"identity": 200, "gzip": 400, "br": 400} {
		r := newRequest("POST", api.RouteRaw, good[api.RouteRaw])
		r.Header.Set("Content-Encoding", encoding)
		if got := ask(t, s, r).StatusCode; got != status {
			t.Errorf("Content-Encoding %q got status %d, want %d", encoding, got, status)
		}
	}
}

func TestBodyLimit(t *testing.T) {
	s := newServer(t, newPipeline(t), func(c *Config) { c.MaxBody = 64 })
	fits := `{"runtime_data":"aGVsbG8="}`
	fits += strings.Repeat(" ", 64-len(fits))
	if got := ask(t, s, newRequest("POST", api.RouteRaw, fits)).StatusCode; got != 200 {
		t.Errorf("64 bytes got status %d", got)
	}
	readError(t, ask(t, s, newRequest("POST", api.RouteRaw, fits+" ")), 400, api.BadRequest)
}

func TestWrongRoute(t *testing.T) {
	s := newServer(t, newPipeline(t), nil)
	for _, path := range []string{
		"/", "//", "/status//", "//status", "/attest", "/attest/", "/attest%2Fraw", "/attest/raw%2F", "/attest/raw/../raw", "/attest/raw/.", "/KEY/release",
	} {
		readError(t, ask(t, s, newRequest("POST", path, "{}")), 404, api.BadRequest)
	}
	for route, allowed := range map[string]string{api.RouteDecrypt: "POST", api.RouteRelease: "GET, POST"} {
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "BREW"} {
			if strings.Contains(allowed, method) {
				continue
			}
			response := ask(t, s, newRequest(method, route, "{}"))
			readError(t, response, 405, api.BadRequest)
			if allow := response.Header.Get("Allow"); allow != allowed {
				t.Errorf("%s %s: Allow is %q", method, route, allow)
			}
		}
	}
	if allow := ask(t, s, newRequest("POST", api.RouteStatus, "")).Header.Get("Allow"); allow != "GET" {
		t.Errorf("Allow is %q", allow)
	}
}

// TestSlash checks a trailing slash: the reference sidecar redirects, but not every client follows.
func TestSlash(t *testing.T) {
	s := newServer(t, newPipeline(t), nil)
	for path, body := range good {
		if got := ask(t, s, newRequest("POST", path+"/", body)).StatusCode; got != 200 {
			t.Errorf("%s/ got status %d", path, got)
		}
	}
	readJSON[api.StatusResponse](t, ask(t, s, newRequest("GET", "/status/", "")))
	if allow := ask(t, s, newRequest("GET", "/key/decrypt/", "")).Header.Get("Allow"); allow != "POST" {
		t.Errorf("Allow is %q", allow)
	}
}

func TestCaller(t *testing.T) {
	s := newServer(t, newPipeline(t), func(c *Config) { c.LocalNames = []string{"ip6-loopback", "skr.pod.internal"} })
	tests := []struct {
		host, origin, site string
		allowed            bool
	}{
		{"localhost", "", "", true},
		{"localhost:8080", "", "", true},
		{"LOCALHOST:9", "", "", true},
		{"127.0.0.1:8080", "", "", true},
		{"[::1]:8080", "", "", true},
		{"[::1]", "", "", true},
		{"", "", "", true}, // HTTP/1.0, so not a browser
		{"0.0.0.0:8080", "", "", true},
		{"[::]:8080", "", "", true},
		{"127.0.0.2:8080", "", "", true},
		{"[::ffff:127.0.0.1]:8080", "", "", true},
		{"localhost.:8080", "", "", true},
		{"skr.localhost:8080", "", "", true},
		{"ip6-loopback:8080", "", "", true},
		{"SKR.pod.internal:8080", "", "", true},
		{"pod.internal:8080", "", "", false},
		{"x.skr.pod.internal:8080", "", "", false},
		{"skr.pod.internal.evil.test:8080", "", "", false},
		{".localhost.evil.test", "", "", false},
		{"notlocalhost:8080", "", "", false},
		{"evil.test/.localhost", "", "", false},
		{"evil.test@x.localhost", "", "", false},
		{"10.0.0.1:8080", "", "", false},
		{"169.254.169.254:8080", "", "", false},
		{"[fe80::1]:8080", "", "", false},
		{"[::1%25lo]:8080", "", "", false},
		{"127.1:8080", "", "", false},
		{"2130706433:8080", "", "", false},
		{"evil.test", "", "", false},
		{"evil.test:8080", "", "", false},
		{"localhost.evil.test:8080", "", "", false},
		{"127.0.0.1.evil.test", "", "", false},
		{"localhost@evil.test", "", "", false},
		{"localhost:8080", "http://localhost:8080", "", false},
		{"localhost:8080", "http://localhost:8080", "same-origin", false},
		{"localhost:8080", "", "same-origin", false},
		{"localhost:8080", "", "same-site", false},
		{"localhost:8080", "", "none", true},
		{"localhost:8080", "", "None", false},
		{"localhost:8080", "http://localhost:8080", "none", false},
		{"localhost:8080", "http://localhost:3000", "", false},
		{"localhost:8080", "http://localhost:8080", "cross-site", false},
		{"localhost:8080", "", "cross-site", false},
		{"localhost:8080", "http://evil.test", "same-origin", false},
		{"localhost:8080", "null", "", false},
		{"localhost:8080", "http://localhost.evil.test", "", false},
		{"localhost:8080", "chrome-extension://abcdefghijklmnop", "none", false},
	}
	for _, test := range tests {
		r := newRequest("POST", api.RouteRaw, good[api.RouteRaw])
		r.Header.Set("Content-Type", "application/json")
		r.Host = test.host
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		if test.site != "" {
			r.Header.Set("Sec-Fetch-Site", test.site)
		}
		response := ask(t, s, r)
		if test.allowed && response.StatusCode != http.StatusOK {
			t.Errorf("%+v got status %d", test, response.StatusCode)
		}
		if !test.allowed {
			readError(t, response, 403, api.CallerNotAllowed)
		}
	}
	for name, values := range map[string][]string{"Origin": {""}, "Sec-Fetch-Site": {"none", "cross-site"}} {
		r := newRequest("GET", api.RouteStatus, "")
		r.Header[name] = values
		readError(t, ask(t, s, r), 403, api.CallerNotAllowed)
	}
}

func TestRefusals(t *testing.T) {
	for _, row := range codes {
		t.Run(string(row.code), func(t *testing.T) {
			p := newPipeline(t)
			p.fail = func(context.Context) error {
				inner := refusal.Because(row.kind, "say this", errors.New("cause "+secretText))
				return fmt.Errorf("keyrelease: asking: %w", inner)
			}
			var log *bytes.Buffer
			s := newServer(t, p, func(c *Config) {
				c.Aliases = map[string]keyrelease.Request{"orders": named(t, c, "orders")}
				log = logTo(c)
			})
			route, body := api.RouteRelease, good[api.RouteRelease]
			if row.kind == refusal.OperationRejected {
				route, body = api.RouteSign, `{"alias":"orders","alg":"RS256","value":"AAAA"}`
			}
			refused := readError(t, ask(t, s, newRequest("POST", route, body)), row.code.HTTPStatus(), row.code)
			if !strings.Contains(refused.Message, "say this") || strings.Contains(refused.Message, "cause") {
				t.Errorf("message is %q", refused.Message)
			}
			for _, want := range []string{`"level":"WARN"`, `"code":"` + string(row.code) + `"`, "cause " + secretText, refused.RequestID} {
				if !strings.Contains(log.String(), want) {
					t.Errorf("log %s has no %q", log, want)
				}
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	for _, test := range []struct {
		kind *refusal.Kind
		wait time.Duration
		want string
	}{
		{refusal.Throttled, 0, "1"},
		{refusal.Throttled, 1500 * time.Millisecond, "2"},
		{refusal.Throttled, 7 * time.Second, "7"},
		{refusal.Unavailable, 0, ""},
	} {
		p := newPipeline(t)
		p.fail = func(context.Context) error { return &refusal.Error{Kind: test.kind, RetryAfter: test.wait} }
		response := ask(t, newServer(t, p, nil), newRequest("POST", api.RouteMAA, good[api.RouteMAA]))
		if got := response.Header.Get("Retry-After"); got != test.want {
			t.Errorf("Retry-After of %v after %v is %q, want %q", test.kind, test.wait, got, test.want)
		}
	}
}

func TestBugs(t *testing.T) {
	for name, fail := range map[string]func(context.Context) error{
		"plain error":   func(context.Context) error { return errors.New("bug") },
		"panic":         func(context.Context) error { panic("with " + secretText) },
		"runtime panic": func(context.Context) error { _ = []int{}[len(secretText):]; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPipeline(t)
			p.fail = fail
			var log *bytes.Buffer
			s := newServer(t, p, func(c *Config) { log = logTo(c) })
			refused := readError(t, ask(t, s, newRequest("POST", api.RouteRaw, good[api.RouteRaw])), 500, api.Internal)
			if strings.Contains(refused.Message+log.String(), secretText) {
				t.Errorf("%q or the log %s contains the panic's text", refused.Message, log)
			}
			if !strings.Contains(log.String(), `"level":"ERROR"`) {
				t.Errorf("log is %s", log)
			}
			if name != "plain error" && !strings.Contains(log.String(), "TestBugs") {
				t.Errorf("log has no stack: %s", log)
			}
		})
	}
}

func TestLog(t *testing.T) {
	p := newPipeline(t)
	var log *bytes.Buffer
	now := time.Unix(0, 0)
	s := newServer(t, p, func(c *Config) {
		log = logTo(c)
		c.Now = func() time.Time { now = now.Add(2500 * time.Microsecond); return now }
	})
	body := strings.Replace(good[api.RouteRelease], "}", `,"access_token":"`+tokenText+`"}`, 1)
	r := newRequest("POST", api.RouteRelease+"?q="+secretText, body)
	r.Header.Set("X-Request-Id", "given-1")
	ask(t, s, r)
	var line map[string]any
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatalf("log is not one line of JSON: %v: %s", err, log)
	}
	delete(line, "time")
	want := map[string]any{"level": "INFO", "msg": "request", "request_id": "given-1", "method": "POST",
		"route": "/key/release", "caller": "loopback", "stage": "answer", "status": 200.0, "code": "ok", "duration_ms": 2.5, "key": keyID}
	if diff := cmp.Diff(want, line); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	log.Reset()
	ask(t, s, newRequest("BREW", "/"+secretText, ""))
	if strings.Contains(log.String(), secretText) || strings.Contains(log.String(), "BREW") {
		t.Errorf("the log contains the caller's path or method: %s", log)
	}
}

func TestRequestID(t *testing.T) {
	s := newServer(t, newPipeline(t), nil)
	for given, kept := range map[string]bool{"abc-123": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "a b": false, "a\"b": false, "ä": false} {
		r := newRequest("GET", api.RouteStatus, "")
		r.Header.Set("X-Request-Id", given)
		if got := ask(t, s, r).Header.Get("X-Request-Id"); (got == given) != kept || got == "" {
			t.Errorf("X-Request-Id %q was changed to %q", given, got)
		}
	}
}

func TestDeadline(t *testing.T) {
	p := newPipeline(t)
	synctest.Test(t, func(t *testing.T) {
		p.fail = func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("asking: %w", ctx.Err()) }
		s := newServer(t, p, nil)
		begin := time.Now()
		readError(t, ask(t, s, newRequest("POST", api.RouteRaw, good[api.RouteRaw])), 504, api.Timeout)
		if took := time.Since(begin); took != 60*time.Second {
			t.Errorf("the deadline came after %v", took)
		}
	})
}

func TestFullQueue(t *testing.T) {
	p := newPipeline(t)
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p.fail = func(context.Context) error { <-release; return nil }
		// One caller gets half of both: one request runs, and one waits.
		s := newServer(t, p, func(c *Config) { c.Gate = limit.New(limit.Config{MaxConcurrent: 2, MaxQueued: 2}) })
		for range 2 {
			go func() {
				if got := ask(t, s, newRequest("POST", api.RouteRaw, good[api.RouteRaw])).StatusCode; got != 200 {
					t.Errorf("a request within the limit got status %d", got)
				}
			}()
		}
		synctest.Wait()
		response := ask(t, s, newRequest("POST", api.RouteRaw, good[api.RouteRaw]))
		readError(t, response, 503, api.Throttled)
		if response.Header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After is %q", response.Header.Get("Retry-After"))
		}
		readJSON[api.StatusResponse](t, ask(t, s, newRequest("GET", api.RouteStatus, "")))
		close(release)
		synctest.Wait()
		if got := ask(t, s, newRequest("POST", api.RouteRaw, good[api.RouteRaw])).StatusCode; got != 200 {
			t.Errorf("after the others have ended, a request got status %d", got)
		}
	})
}

func TestCallerGone(t *testing.T) {
	p := newPipeline(t)
	var log *bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	p.fail = func(context.Context) error { cancel(); return nil } // the pipeline succeeds too late
	s := newServer(t, p, func(c *Config) { log = logTo(c) })
	recorder := httptest.NewRecorder()
	defer func() {
		if recover() != http.ErrAbortHandler { //nolint:errorlint // net/http compares in the same way
			t.Error("the connection was not aborted")
		}
		if recorder.Body.Len() != 0 || !strings.Contains(log.String(), `"status":499`) {
			t.Errorf("wrote %q, log %s", recorder.Body, log)
		}
	}()
	s.ServeHTTP(recorder, newRequest("POST", api.RouteRelease, good[api.RouteRelease]).WithContext(ctx))
}

// pipes is a listener of in-memory connections that synctest can track.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			select {
			case p.conns <- far:
				return near, nil
			case <-p.closed:
				return nil, net.ErrClosed
			}
		}}}
}

func TestGracefulStop(t *testing.T) {
	for name, test := range map[string]struct {
		takes time.Duration
		clean bool
	}{
		"running requests end":         {5 * time.Second, true},
		"slow requests are cut off":    {50 * time.Second, false},
		"just within the grace period": {9 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPipeline(t)
			synctest.Test(t, func(t *testing.T) {
				p.fail = func(ctx context.Context) error {
					select {
					case <-time.After(test.takes):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				ctx, stop := context.WithCancel(t.Context())
				listener := newPipes()
				served := make(chan error, 1)
				go func() { served <- newServer(t, p, nil).Serve(ctx, &Listener{[]net.Listener{listener}}) }()
				answered := make(chan error, 1)
				go func() { answered <- postRaw(t.Context(), listener.client()) }()
				synctest.Wait()
				stop()
				synctest.Wait()
				if err := postRaw(t.Context(), listener.client()); err == nil {
					t.Error("a request was accepted after the stop")
				}
				if err := <-answered; (err == nil) != test.clean {
					t.Errorf("the running request ended with %v", err)
				}
				if err := <-served; (err == nil) != test.clean {
					t.Errorf("Serve returned %v", err)
				}
			})
		})
	}
}

func postRaw(ctx context.Context, client *http.Client) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost"+api.RouteRaw, strings.NewReader(good[api.RouteRaw]))
	if err != nil {
		return err
	}
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // it was read to its end
	if _, err := io.ReadAll(response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return nil
}

// TestSlowBody checks that an endless body occupies its place only until the deadline.
func TestSlowBody(t *testing.T) {
	p := newPipeline(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		listener := newPipes()
		served := make(chan error, 1)
		go func() { served <- newServer(t, p, nil).Serve(ctx, &Listener{[]net.Listener{listener}}) }()
		near, far := net.Pipe()
		listener.conns <- far
		_, _ = io.WriteString(near, "POST /attest/raw HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n{")
		begin := time.Now()
		answer, err := io.ReadAll(near)
		if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 504 ")) || time.Since(begin) > 61*time.Second {
			t.Errorf("after %v: %v, %s", time.Since(begin), err, answer)
		}
		_ = near.Close()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// TestCodesAgree compares the codes of package api, of the OpenAPI description and of the
// server's table.
func TestCodesAgree(t *testing.T) {
	table := map[string]int{string(api.Internal): http.StatusInternalServerError}
	for _, row := range codes {
		table[string(row.code)] = row.code.HTTPStatus()
	}
	ours := map[string]int{}
	for _, code := range api.Codes() {
		ours[string(code)] = code.HTTPStatus()
	}
	if diff := cmp.Diff(ours, table); diff != "" {
		t.Errorf("api and server's table (-api +server):\n%s", diff)
	}
	description, err := openapi3.NewLoader().LoadFromData(api.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ours, describedCodes(t, description)); diff != "" {
		t.Errorf("api and openapi.yaml (-api +openapi):\n%s", diff)
	}
	enum := description.Components.Schemas["Code"].Value.Enum
	if len(enum) != len(ours) {
		t.Errorf("openapi.yaml lists %d codes, want %d", len(enum), len(ours))
	}
	for _, code := range enum {
		if _, ok := ours[fmt.Sprint(code)]; !ok {
			t.Errorf("openapi.yaml lists an unknown code %v", code)
		}
	}
}

// describedCodes returns the codes that the answers of some route may have, with their statuses.
func describedCodes(t *testing.T, description *openapi3.T) map[string]int {
	t.Helper()
	described := map[string]int{}
	for _, path := range description.Paths.Map() {
		for _, operation := range path.Operations() {
			for status, response := range operation.Responses.Map() {
				if status == "406" { // a bad_request that does not have the status of its code
					continue
				}
				for _, part := range response.Value.Content["application/json"].Schema.Value.AllOf {
					code := part.Value.Properties["code"]
					if code == nil || part.Ref != "" {
						continue
					}
					for _, value := range code.Value.Enum {
						var number int
						if _, err := fmt.Sscan(status, &number); err != nil {
							t.Fatal(err)
						}
						described[fmt.Sprint(value)] = number
					}
				}
			}
		}
	}
	return described
}

func TestRoutesAgree(t *testing.T) {
	description, err := openapi3.NewLoader().LoadFromData(api.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]string{}
	for path, item := range description.Paths.Map() {
		described[path] = strings.Join(slices.Sorted(maps.Keys(item.Operations())), ", ")
	}
	served := map[string]string{}
	for path, route := range newServer(t, newPipeline(t), nil).routes {
		served[path] = route.allow()
	}
	if diff := cmp.Diff(described, served); diff != "" {
		t.Errorf("openapi.yaml and server (-openapi +server):\n%s", diff)
	}
}

func TestNewWantsEveryPart(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("a server without a pipeline was made")
	}
}

func FuzzDecodeRequest(f *testing.F) {
	paths := []string{api.RouteRaw, api.RouteCombined, api.RouteMAA, api.RouteRelease}
	for i, path := range paths {
		f.Add(uint8(i), []byte(good[path]))
		f.Add(uint8(i), []byte(strings.ToUpper(good[path])))
		f.Add(uint8(i), []byte(`{"runtime_data":"AA==","runtime_data":"AA=="}`))
		f.Add(uint8(i), []byte(`{"kid":null,"access_token":"\ud800"}`))
		f.Add(uint8(i), []byte(strings.Repeat("[", 1000)))
	}
	s := newServer(f, newPipeline(f), nil)
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		path := paths[int(which)%len(paths)]
		response := ask(t, s, newRequest("POST", path, string(body))) // checks the answer against openapi.yaml
		if code := response.StatusCode; code != 200 && code != 400 && code != 403 {
			t.Errorf("answer is %d", code)
		}
	})
}
