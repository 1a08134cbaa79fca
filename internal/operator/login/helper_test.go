package login

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"skr/internal/azure/httpclient"
	"skr/internal/refusal"
)

const (
	assertion   = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwb2QtYXNzZXJ0aW9uIn0.c2lnbmF0dXJlLW9mLXRoZS1wb2Q"
	accessToken = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ2YXVsdC1hY2Nlc3MifQ.c2lnbmF0dXJlLW9mLWVudHJh"
	tenant      = "9e0d0ea7-2d6f-4b6f-b7a1-3c1f4c1d8c11"
	clientID    = "6ad1b4f0-0000-4000-8000-3b0a7d1f8a52"
)

// once keeps tests from waiting for httpclient's backoff.
var once = httpclient.Retry{Attempts: 1, Base: time.Millisecond, Cap: time.Millisecond, MaxRetryAfter: time.Millisecond}

func audience(t *testing.T) string {
	return "https://" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-", "#", "-").Replace(t.Name())) + ".vault.test"
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

type fakeLogin struct {
	*httptest.Server
	asked atomic.Int32
}

func newLogin(t *testing.T, token http.HandlerFunc) *fakeLogin {
	t.Helper()
	fake := &fakeLogin{}
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

func tokenFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(assertion), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
