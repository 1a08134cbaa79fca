package server

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"skr/hsm"
	"skr/internal/keyformat"
	"skr/internal/sidecar/limit"
	"skr/keyrelease"
)

// answerTo sends one request and returns the answer.
func answerTo(s *Server, method, target, body string, header ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, target, strings.NewReader(body))
	request.Host = "localhost:8080"
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			request.Host = header[i+1]
			continue
		}
		request.Header.Add(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, request)
	return recorder
}

const releaseNames = "maa_endpoint=contoso.eus.attest.azure.net&akv_endpoint=contoso.vault.azure.net&kid=demo"

// newFormatServer returns a server whose log goes to the buffer.
func newFormatServer(t *testing.T) (*Server, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	return newServer(t, newPipeline(t), func(c *Config) {
		c.Gate = limit.New(limit.Config{Rate: 1e6})
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		request := keyrelease.Request{}
		var err error
		if request.Authority, err = c.Authorities.Parse("contoso.eus.attest.azure.net"); err != nil {
			t.Fatal(err)
		}
		if request.Key, err = c.Vaults.Parse("contoso.vault.azure.net", "demo"); err != nil {
			t.Fatal(err)
		}
		every, err := hsm.ParseVersions([]string{"all"})
		if err != nil {
			t.Fatal(err)
		}
		c.Aliases = map[string]keyrelease.Request{"orders": request.OfVersions(every)}
	}), &log
}

// A GET with a query releases what a POST with the same members does, and its log line has none
// of them.
func TestReleaseByQuery(t *testing.T) {
	s, log := newFormatServer(t)
	want, err := json.Marshal(map[string]string{"key": jwkText})
	if err != nil {
		t.Fatal(err)
	}
	posted := answerTo(s, http.MethodPost, "/key/release", `{"alias":"orders"}`)
	for _, query := range []string{"alias=orders", "alias=orders&version=0123456789abcdef0123456789abcdef", releaseNames} {
		got := answerTo(s, http.MethodGet, "/key/release?"+query, "")
		if got.Code != http.StatusOK || got.Body.String() != string(want) || got.Body.String() != posted.Body.String() {
			t.Errorf("%s: %d %s", query, got.Code, got.Body)
		}
		if got.Header().Get("Cache-Control") != "no-store" || got.Header().Get("X-Skr-Key-Id") == "" {
			t.Errorf("%s: the header is %v", query, got.Header())
		}
	}
	for name, c := range map[string]struct {
		query, reason string
		status        int
	}{
		"nothing":      {"", `"maa_endpoint\" is missing`, 400},
		"unknown":      {"alias=orders&extra=1", `"extra\" is unknown`, 400},
		"repeated":     {"alias=orders&alias=orders", "repeated", 400},
		"format twice": {"alias=orders&format=pem&format=jwk", "repeated", 400},
		"syntax":       {"alias=%zz", "name=value", 400},
		"not UTF-8":    {"alias=%ff", "not Unicode", 400},
		"secret":       {"alias=orders&access_token=s3cr3t", "must not be in a URL", 400},
		"format":       {"alias=orders&format=p12", "format is none of jwk, pem, der, pkcs8, ssh, raw", 400},
		"empty format": {"alias=orders&format=", "format is none of", 400},
		"no such form": {"alias=orders&format=pem", "a key of this type has no form pem", 400},
	} {
		got := answerTo(s, http.MethodGet, "/key/release?"+c.query, "")
		if got.Code != c.status || !strings.Contains(got.Body.String(), c.reason) || strings.Contains(got.Body.String(), "s3cr3t") {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
	for _, word := range []string{"s3cr3t", "alias=", "p12"} {
		if strings.Contains(log.String(), word) {
			t.Errorf("the log has %q:\n%s", word, log)
		}
	}
}

// The format of the query wins over Accept, and without both the answer is that of drop-in clients.
func TestReleaseFormats(t *testing.T) {
	s, _ := newFormatServer(t)
	const object, alone, bytes = "application/json; charset=utf-8", "application/jwk+json", "application/octet-stream"
	for name, c := range map[string]struct {
		query  string
		accept []string
		media  string
	}{
		"default":          {"", nil, object},
		"any":              {"", []string{"*/*"}, object},
		"format":           {"?format=jwk", nil, alone},
		"raw":              {"?format=raw", nil, bytes},
		"format first":     {"?format=jwk", []string{"application/octet-stream"}, alone},
		"accept":           {"", []string{"application/jwk+json"}, alone},
		"preference":       {"", []string{"application/octet-stream;q=0.5, application/jwk+json;q=0.7"}, alone},
		"equal":            {"", []string{"application/jwk+json, application/json"}, object},
		"two headers":      {"", []string{"text/plain", "application/jwk+json"}, alone},
		"zero is never":    {"", []string{"application/json;q=0, */*"}, alone},
		"the most precise": {"", []string{"application/*;q=0.9, application/json;q=0.1"}, alone},
		"capitals":         {"", []string{"Application/JWK+JSON; Q=1.0"}, alone},
		"Java":             {"", []string{"text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"}, object},
		"axios":            {"", []string{"application/json, text/plain, */*"}, object},
		"Spring":           {"", []string{"text/plain, application/json, application/*+json, */*"}, object},
		"parameters":       {"", []string{"application/json;profile=x, application/jwk+json;q=0.1"}, alone},
		"no media range":   {"", []string{"json"}, object},
		"empty":            {"", []string{""}, object},
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			target, body := "/key/release"+c.query, `{"alias":"orders"}`
			if method == http.MethodGet {
				target, body = "/key/release?alias=orders&"+strings.TrimPrefix(c.query, "?"), ""
			}
			var header []string
			for _, accept := range c.accept {
				header = append(header, "Accept", accept)
			}
			got := answerTo(s, method, target, body, header...)
			if got.Code != http.StatusOK || got.Header().Get("Content-Type") != c.media {
				t.Errorf("%s, %s: %d %s %s", method, name, got.Code, got.Header().Get("Content-Type"), got.Body)
			}
			if c.media == alone && got.Body.String() != jwkText {
				t.Errorf("%s, %s: %s", method, name, got.Body)
			}
			if c.media == bytes && got.Body.String() != "secret-key" {
				t.Errorf("%s, %s: %q", method, name, got.Body)
			}
		}
	}
	refused := answerTo(s, http.MethodGet, "/key/release?alias=orders", "", "Accept", "text/html, image/*;q=0.5")
	if refused.Code != http.StatusNotAcceptable || !strings.Contains(refused.Body.String(), keyformat.PEM.MediaType()) ||
		!strings.Contains(refused.Body.String(), `"code":"bad_request"`) {
		t.Errorf("Accept without an offer: %d %s", refused.Code, refused.Body)
	}
	dropIn := answerTo(s, http.MethodPost, "/key/release", `{"alias":"orders"}`, "Accept", "text/plain")
	if dropIn.Code != http.StatusOK || dropIn.Header().Get("Content-Type") != object {
		t.Errorf("a POST that accepts none: %d %s", dropIn.Code, dropIn.Body)
	}
	if other := answerTo(s, http.MethodPost, "/attest/raw", `{"runtime_data":"aGVsbG8="}`, "Accept", "text/html"); other.Code != http.StatusOK {
		t.Errorf("another route reads Accept: %d", other.Code)
	}
}

// A page cannot have a key released by GET, whose requests have no Origin: what browsers do not
// mark with Sec-Fetch-Site is refused by its Host.
func TestReleaseByQueryOfPages(t *testing.T) {
	s, _ := newFormatServer(t)
	s.config.LocalNames = []string{"pod-name"}
	for name, c := range map[string]struct {
		header []string
		status int
	}{
		"curl":             {nil, 200},
		"address":          {[]string{"Host", "127.0.0.1:8080"}, 200},
		"IPv6":             {[]string{"Host", "[::1]:8080"}, 200},
		"IPv6, no port":    {[]string{"Host", "[::1]"}, 200},
		"typed by a user":  {[]string{"Sec-Fetch-Site", "none"}, 200},
		"image":            {[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		"same origin":      {[]string{"Sec-Fetch-Site", "same-origin"}, 403},
		"CORS":             {[]string{"Origin", "null"}, 403},
		"unmarked address": {[]string{"Host", "0.0.0.0:8080"}, 403},
		"unmarked IPv6":    {[]string{"Host", "[::]:8080"}, 403},
		"unmarked name":    {[]string{"Host", "pod-name:8080"}, 403},
		"rebound name":     {[]string{"Host", "evil.example:8080"}, 403},
	} {
		got := answerTo(s, http.MethodGet, "/key/release?alias=orders", "", c.header...)
		if got.Code != c.status || c.status != 200 && !strings.Contains(got.Body.String(), "caller_not_allowed") {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
	if got := answerTo(s, http.MethodPost, "/key/release", `{"alias":"orders"}`, "Host", "0.0.0.0:8080"); got.Code != http.StatusOK {
		t.Errorf("POST to 0.0.0.0: %d %s", got.Code, got.Body)
	}
	got := answerTo(s, http.MethodPut, "/key/release", "")
	if got.Code != http.StatusMethodNotAllowed || got.Header().Get("Allow") != "GET, POST" || !strings.Contains(got.Body.String(), "use GET or POST") {
		t.Errorf("PUT: %d %v %s", got.Code, got.Header(), got.Body)
	}
}

func FuzzQuery(f *testing.F) {
	for _, query := range []string{"alias=orders", "alias=a&alias=b", "alias=%ff", "a;b", "format=pem&kid=%22", "access_token=x"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		text, err := queryRequest(query)
		if err == nil && !json.Valid(text) {
			t.Errorf("%q gives %q", query, text)
		}
	})
}
