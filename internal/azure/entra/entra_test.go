package entra

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"skr/internal/azure/httpclient"
	"skr/internal/refusal"
	"skr/internal/secmem"
)

const (
	assertion   = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwb2QtYXNzZXJ0aW9uIn0.c2lnbmF0dXJlLW9mLXRoZS1wb2Q"
	accessToken = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ2YXVsdC1hY2Nlc3MifQ.c2lnbmF0dXJlLW9mLWVudHJh"
	tenant      = "9e0d0ea7-2d6f-4b6f-b7a1-3c1f4c1d8c11"
	clientID    = "6ad1b4f0-0000-4000-8000-3b0a7d1f8a52"
)

// once keeps tests from waiting for httpclient's backoff.
var once = httpclient.Retry{Attempts: 1, Base: time.Millisecond, Cap: time.Millisecond, MaxRetryAfter: time.Millisecond}

// audience returns a different audience for each test: MSAL keeps the tokens of managed
// identities in one cache for the whole process.
func audience(t *testing.T) string {
	return "https://" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-", "#", "-").Replace(t.Name())) + ".vault.test"
}

func newManagedSource(t *testing.T, id string, imds http.HandlerFunc) *Source {
	t.Helper()
	server := httptest.NewServer(imds)
	t.Cleanup(server.Close)
	target, err := url.Parse(server.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	transport := httpclient.NewTransport(httpclient.TransportConfig{
		Direct: true, Rewrite: map[string]*url.URL{"169.254.169.254": target}})
	retry := once
	retry.Also = IMDSRetry().Also
	source, err := New(Config{ClientID: id,
		IMDS: httpclient.New(httpclient.Config{Service: "IMDS", Transport: transport, Retry: retry})})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func writeJSON(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func imdsToken(resource string) map[string]any {
	return map[string]any{"access_token": accessToken, "refresh_token": "", "expires_in": "3599",
		"expires_on": fmt.Sprint(time.Now().Add(time.Hour).Unix()), "not_before": fmt.Sprint(time.Now().Unix()),
		"resource": resource, "token_type": "Bearer"}
}

func TestManagedIdentity(t *testing.T) {
	for _, id := range []string{"", clientID} {
		t.Run("client"+id, func(t *testing.T) {
			var asked atomic.Int32
			source := newManagedSource(t, id, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				if r.URL.Path != "/metadata/identity/oauth2/token" || r.Header.Get("Metadata") != "true" {
					t.Errorf("requested %s with Metadata %q", r.URL.Path, r.Header.Get("Metadata"))
				}
				if got := r.URL.Query().Get("resource"); got != audience(t) {
					t.Errorf("resource is %q, want %q", got, audience(t))
				}
				if got := r.URL.Query().Get("client_id"); got != id {
					t.Errorf("client_id is %q, want %q", got, id)
				}
				writeJSON(w, http.StatusOK, imdsToken(audience(t)))
			})
			for range 3 {
				token, err := source.AccessToken(t.Context(), audience(t))
				if err != nil || token.Reveal() != accessToken {
					t.Fatalf("token %q, error %v", token.Reveal(), err)
				}
			}
			if asked.Load() != 1 {
				t.Errorf("IMDS got %d requests for one token", asked.Load())
			}
			if source.String() != managed {
				t.Errorf("String is %q", source)
			}
		})
	}
}

func TestManagedIdentityRefused(t *testing.T) {
	said := func(status int, code, description string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, status, map[string]any{"error": code, "error_description": description})
		}
	}
	tests := []struct {
		name    string
		imds    http.HandlerFunc
		kind    *refusal.Kind
		says    string
		saysNot string
	}{
		{"no identity", said(400, "invalid_request", "Identity not found "+accessToken), refusal.ReleaseRejected,
			"system-assigned managed identity no access token (invalid_request); assign the identity", "Identity not found"},
		{"several identities", said(400, "invalid_request",
			"Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request"),
			refusal.ReleaseRejected, "; set client_id", "Multiple"},
		{"unknown audience", said(400, "invalid_resource", "AADSTS50001: The resource principal was not found"),
			refusal.ReleaseRejected, "(invalid_resource, AADSTS50001)", "principal"},
		{"unauthorised", said(401, "unknown_source", "Unknown Source"), refusal.ReleaseRejected, "unknown_source", "Unknown Source"},
		{"forbidden by a proxy", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "network unreachable", http.StatusForbidden)
		},
			refusal.ReleaseRejected, "pass access_token", "unreachable"},
		{"code is not a word", said(400, "<script>"+accessToken, ""), refusal.ReleaseRejected, "no access token;", "script"},
		{"throttled", said(429, "throttled", ""), refusal.Throttled, "", ""},
		{"failing", said(500, "unknown", ""), refusal.Unavailable, "", ""},
		{"updating", said(410, "gone", ""), refusal.Unavailable, "being updated", ""},
		{"not JSON", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, accessToken) },
			refusal.Untrusted, "could not be read", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := newManagedSource(t, "", test.imds).AccessToken(t.Context(), audience(t))
			checkRefusal(t, err, test.kind, test.says)
			refused, _ := errors.AsType[*refusal.Error](err)
			if test.saysNot != "" && strings.Contains(refused.Public(), test.saysNot) {
				t.Errorf("the public error contains the answer's text: %v", err)
			}
			if test.saysNot != "" && test.saysNot != "script" && test.saysNot != "unreachable" && !strings.Contains(err.Error(), test.saysNot) {
				t.Errorf("the log has no cause: %v", err)
			}
		})
	}
}

func checkRefusal(t *testing.T, err error, kind *refusal.Kind, says string) {
	t.Helper()
	refused, ok := errors.AsType[*refusal.Error](err)
	if !ok || refused.Kind != kind {
		t.Fatalf("error %v, want a refusal of kind %q", err, kind)
	}
	if !strings.Contains(refused.Public(), says) {
		t.Errorf("public error %q, want %q in it", refused.Public(), says)
	}
	for _, secret := range []string{assertion, accessToken} {
		for part := range strings.SplitSeq(secret, ".") {
			if strings.Contains(err.Error(), part) {
				t.Errorf("the error contains part of a token: %v", err)
			}
		}
	}
}

func TestManagedIdentityUnreachable(t *testing.T) {
	transport := httpclient.NewTransport(httpclient.TransportConfig{
		Direct: true, Rewrite: map[string]*url.URL{"169.254.169.254": {Scheme: "http", Host: "127.0.0.1:1"}}})
	source, err := New(Config{IMDS: httpclient.New(httpclient.Config{Service: "IMDS", Transport: transport, Retry: once})})
	if err != nil {
		t.Fatal(err)
	}
	_, err = source.AccessToken(t.Context(), audience(t))
	checkRefusal(t, err, refusal.Unavailable, "IMDS")
}

func TestConcurrentCallsAskOnce(t *testing.T) {
	var asked atomic.Int32
	arrived, release := make(chan struct{}, 9), make(chan struct{})
	source := newManagedSource(t, "", func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		arrived <- struct{}{}
		<-release
		writeJSON(w, http.StatusOK, imdsToken(audience(t)))
	})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			if token, err := source.AccessToken(t.Context(), audience(t)); err != nil || token.Reveal() != accessToken {
				t.Errorf("token %q, error %v", token.Reveal(), err)
			}
		})
	}
	<-arrived
	// One caller gives up. The others still get the token.
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := source.AccessToken(impatient, audience(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled caller got %v", err)
	}
	close(release)
	callers.Wait()
	if asked.Load() != 1 {
		t.Errorf("IMDS got %d requests", asked.Load())
	}
}

func TestDeadline(t *testing.T) {
	release := make(chan struct{})
	source := newManagedSource(t, "", func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err := source.AccessToken(late, audience(t))
	checkRefusal(t, err, refusal.Timeout, "deadline")
}

// login is a fake of the login service: discovery and a token endpoint that answers with
// token.
type login struct {
	*httptest.Server
	asked atomic.Int32
}

func newLogin(t *testing.T, token http.HandlerFunc) *login {
	t.Helper()
	fake := &login{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /"+tenant+"/v2.0/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		base := fake.URL + "/" + tenant
		writeJSON(w, http.StatusOK, map[string]any{"authorization_endpoint": base + "/oauth2/v2.0/authorize",
			"token_endpoint": base + "/oauth2/v2.0/token", "issuer": base + "/v2.0"})
	})
	mux.HandleFunc("POST /"+tenant+"/oauth2/v2.0/token", func(w http.ResponseWriter, r *http.Request) {
		fake.asked.Add(1)
		token(w, r)
	})
	fake.Server = httptest.NewTLSServer(mux)
	t.Cleanup(fake.Close)
	return fake
}

func newWorkloadSource(t *testing.T, fake *login, file string) *Source {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(fake.Certificate())
	transport := httpclient.NewTransport(httpclient.TransportConfig{Roots: roots})
	source, err := New(Config{ClientID: clientID, TenantID: tenant, TokenFile: file, AuthorityHost: fake.URL,
		HTTP: httpclient.New(httpclient.Config{Service: "Microsoft Entra ID", Transport: transport, Retry: once})})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func tokenFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(assertion), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestWorkloadIdentity(t *testing.T) {
	fake := newLogin(t, func(w http.ResponseWriter, r *http.Request) {
		want := map[string]string{"grant_type": "client_credentials", "client_id": clientID, "client_assertion": assertion}
		for name, value := range want {
			if got := r.PostFormValue(name); got != value {
				t.Errorf("%s is %q, want %q", name, got, value)
			}
		}
		if scopes := r.PostFormValue("scope"); !strings.Contains(scopes, "https://vault.azure.net/.default") {
			t.Errorf("scope is %q", scopes)
		}
		writeJSON(w, http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": 3599, "access_token": accessToken})
	})
	source := newWorkloadSource(t, fake, tokenFile(t))
	for range 3 {
		token, err := source.AccessToken(t.Context(), "https://vault.azure.net")
		if err != nil || token.Reveal() != accessToken {
			t.Fatalf("token %q, error %v", token.Reveal(), err)
		}
	}
	if fake.asked.Load() != 1 {
		t.Errorf("the login service got %d requests for one token", fake.asked.Load())
	}
	if source.String() != workload {
		t.Errorf("String is %q", source)
	}
}

func TestWorkloadIdentityRefused(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   map[string]any
		kind   *refusal.Kind
		says   string
	}{
		{"no federated credential", 400, map[string]any{"error": "invalid_request",
			"error_description": "AADSTS700213: No matching federated identity record found for " + assertion},
			refusal.ReleaseRejected, "(invalid_request, AADSTS700213); add a federated credential"},
		{"expired assertion", 401, map[string]any{"error": "invalid_client", "error_description": "AADSTS700024"},
			refusal.ReleaseRejected, `workload identity with client id "` + clientID + `"`},
		{"throttled", 429, map[string]any{"error": "temporarily_unavailable"}, refusal.Throttled, "Microsoft Entra ID"},
		{"failing", 503, map[string]any{}, refusal.Unavailable, "Microsoft Entra ID"},
		{"no token", 200, map[string]any{"token_type": "Bearer", "expires_in": 3599}, refusal.Untrusted, "could not be read"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fake := newLogin(t, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, test.status, test.body) })
			_, err := newWorkloadSource(t, fake, tokenFile(t)).AccessToken(t.Context(), "https://vault.azure.net")
			checkRefusal(t, err, test.kind, test.says)
		})
	}
}

func TestWorkloadIdentityWithoutTokenFile(t *testing.T) {
	fake := newLogin(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent without an assertion") })
	_, err := newWorkloadSource(t, fake, filepath.Join(t.TempDir(), "absent")).AccessToken(t.Context(), "https://vault.azure.net")
	checkRefusal(t, err, refusal.Unavailable, "token file")
}

func TestNew(t *testing.T) {
	client := httpclient.New(httpclient.Config{})
	full := Config{ClientID: clientID, TenantID: tenant, TokenFile: "/token", HTTP: client, IMDS: client}
	with := func(change func(*Config)) Config {
		c := full
		change(&c)
		return c
	}
	tests := []struct {
		name   string
		config Config
		kind   string
		err    string
	}{
		{"all three", full, workload, ""},
		{"no client id", with(func(c *Config) { c.ClientID = "" }), "", "needs a client id"},
		{"no tenant", with(func(c *Config) { c.TenantID = "" }), "", "needs a client id, a tenant"},
		{"no token file", with(func(c *Config) { c.TokenFile = "" }), "", "and a token file"},
		{"the token itself", with(func(c *Config) { c.TokenFile, c.Assertion = "", secmem.NewText("token") }), workload, ""},
		{"a token file and the token", with(func(c *Config) { c.Assertion = secmem.NewText("token") }), "", "or the token itself"},
		{"only the token", Config{Assertion: secmem.NewText("token"), HTTP: client, IMDS: client}, "", "needs a client id"},
		{"only a token file", Config{TokenFile: "/token", HTTP: client, IMDS: client}, "", "needs a client id"},
		{"only a client id", Config{ClientID: clientID, IMDS: client}, managed, ""},
		{"nothing", Config{IMDS: client}, managed, ""},
		{"sovereign cloud", with(func(c *Config) { c.AuthorityHost = "https://login.microsoftonline.us/" }), workload, ""},
		{"plain http", with(func(c *Config) { c.AuthorityHost = "http://login.microsoftonline.com" }), "", "not an https URL"},
		{"authority with a path", with(func(c *Config) { c.AuthorityHost = "https://login.test/tenant" }), "", "more than"},
		{"no login client", with(func(c *Config) { c.HTTP = nil }), "", "no HTTP client"},
		{"no IMDS client", Config{}, "", "no HTTP client"},
		{"bad tenant", with(func(c *Config) { c.TenantID = "../x" }), "", "preparing workload identity"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source, err := New(test.config)
			switch {
			case test.err == "" && err != nil:
				t.Fatal(err)
			case test.err == "" && source.String() != test.kind:
				t.Errorf("got %q, want %q", source, test.kind)
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("error %v, want %q", err, test.err)
			}
		})
	}
}

func TestBriefHidesTokens(t *testing.T) {
	err := Brief(fmt.Errorf("json decode error: near %s\nmessage bytes were: %s", assertion, accessToken))
	if want := "json decode error: near [redacted]"; err.Error() != want {
		t.Errorf("brief is %q, want %q", err, want)
	}
}

// FuzzReadCodes checks that only plain codes of a service's answer are returned.
func FuzzReadCodes(f *testing.F) {
	f.Add([]byte(`{"error":"invalid_client","error_description":"AADSTS700016: no such application"}`))
	f.Add([]byte(`{"error":1}`))
	f.Add([]byte(`<html>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var seen answer
		response := &http.Response{StatusCode: http.StatusBadRequest, Body: io.NopCloser(bytes.NewReader(body))}
		if err := seen.parseError(response); err != nil {
			t.Fatal(err)
		}
		if left, _ := io.ReadAll(response.Body); !bytes.Equal(left, body) {
			t.Error("azidentity can no longer read the body")
		}
		if words := seen.codes(); len(words) > 90 || strings.Trim(words, " (),_ADSTabcdefghijklmnopqrstuvwxyz0123456789") != "" {
			t.Errorf("codes are %q", words)
		}
	})
}
