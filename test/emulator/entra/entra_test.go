package entra_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"skr/test/emulator/entra"
)

const resource = "https://vault.localhost:8443"

// tenant is a directory, the cluster that it trusts, and their clock.
type tenant struct {
	*entra.Directory
	cluster *entra.Cluster
	now     time.Time
}

func newTenant(t *testing.T) *tenant {
	t.Helper()
	n := &tenant{now: time.Unix(1_800_000_000, 0)}
	clock := func() time.Time { return n.now }
	var err error
	if n.cluster, err = entra.NewCluster("https://oidc.example/", clock); err != nil {
		t.Fatal(err)
	}
	n.Directory, err = entra.New(entra.Config{
		Resources: []string{resource}, Federation: n.cluster.Federation("ns", "account"), Now: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *tenant) assertion(t *testing.T, account string) string {
	t.Helper()
	token, err := n.cluster.Token("ns", account)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (n *tenant) form(t *testing.T) url.Values {
	return url.Values{
		"grant_type":            {"client_credentials"},
		"client_id":             {n.Workload().AppID},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {n.assertion(t, "account")},
		"scope":                 {resource + "/.default openid offline_access profile"},
		"client_info":           {"1"},
	}
}

func (n *tenant) post(form url.Values) (status int, body map[string]any) {
	request := httptest.NewRequest(http.MethodPost, "/"+n.Tenant()+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := httptest.NewRecorder()
	n.ServeHTTP(answer, request)
	_ = json.Unmarshal(answer.Body.Bytes(), &body)
	return answer.Code, body
}

func TestToken(t *testing.T) {
	n := newTenant(t)
	status, body := n.post(n.form(t))
	if status != http.StatusOK || body["token_type"] != "Bearer" || body["expires_in"] != 3599.0 || body["ext_expires_in"] != 3599.0 {
		t.Fatalf("%d %v", status, body)
	}
	token := body["access_token"].(string)
	for _, audience := range []string{resource, resource + "/"} {
		if who, err := n.VerifyAccessToken(token, audience); err != nil || who != n.Workload() {
			t.Errorf("%s: %v %v", audience, who, err)
		}
	}
	if _, err := n.VerifyAccessToken(token, "https://managedhsm.localhost:8443"); err == nil {
		t.Error("valid for another resource")
	}
	if _, err := newTenant(t).VerifyAccessToken(token, resource); err == nil {
		t.Error("valid in another tenant")
	}
	n.now = n.now.Add(2 * time.Hour)
	if _, err := n.VerifyAccessToken(token, resource); err == nil {
		t.Error("valid after its expiry")
	}
}

func TestTokenRefusals(t *testing.T) {
	stranger := newTenant(t)
	for _, test := range []struct {
		name   string
		change func(*tenant, url.Values)
		status int
		code   float64
	}{
		{"no scope", func(_ *tenant, f url.Values) { f.Del("scope") }, 400, 900144},
		{"no assertion", func(_ *tenant, f url.Values) { f.Del("client_assertion") }, 400, 900144},
		{"another grant", func(_ *tenant, f url.Values) { f.Set("grant_type", "password") }, 400, 70003},
		{"another client", func(_ *tenant, f url.Values) { f.Set("client_id", entra.GUID()) }, 400, 700016},
		{"another assertion type", func(_ *tenant, f url.Values) { f.Set("client_assertion_type", "saml") }, 401, 70025},
		{"no JWT", func(_ *tenant, f url.Values) { f.Set("client_assertion", "abc") }, 401, 50027},
		{"another account", func(n *tenant, f url.Values) { f.Set("client_assertion", n.assertion(t, "other")) }, 401, 700213},
		{"another cluster", func(_ *tenant, f url.Values) { f.Set("client_assertion", stranger.assertion(t, "account")) }, 401, 700027},
		{"an old assertion", func(n *tenant, _ url.Values) { n.now = n.now.Add(2 * time.Hour) }, 401, 700024},
		{"a scope without .default", func(_ *tenant, f url.Values) { f.Set("scope", resource) }, 400, 1002012},
		{"another resource", func(_ *tenant, f url.Values) { f.Set("scope", "https://graph.microsoft.com/.default") }, 400, 500011},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := newTenant(t)
			form := n.form(t)
			test.change(n, form)
			status, body := n.post(form)
			codes, _ := body["error_codes"].([]any)
			if status != test.status || len(codes) != 1 || codes[0] != test.code || body["error"] == "" {
				t.Errorf("status %d, %v; want %d, %v", status, body, test.status, test.code)
			}
		})
	}
}

func TestDiscovery(t *testing.T) {
	n := newTenant(t)
	for path, want := range map[string]int{
		"/" + n.Tenant() + "/v2.0/.well-known/openid-configuration": http.StatusOK,
		"/" + n.Tenant() + "/discovery/v2.0/keys":                   http.StatusOK,
		"/" + entra.GUID() + "/discovery/v2.0/keys":                 http.StatusBadRequest,
	} {
		request := httptest.NewRequest(http.MethodGet, path, http.NoBody)
		request.Host = "login.localhost:1"
		answer := httptest.NewRecorder()
		n.ServeHTTP(answer, request)
		if answer.Code != want {
			t.Errorf("%s: status %d: %s", path, answer.Code, answer.Body)
		}
		if strings.HasSuffix(path, "configuration") && !strings.Contains(answer.Body.String(), `"issuer":"https://login.localhost:1/`) {
			t.Errorf("issuer: %s", answer.Body)
		}
	}
}

// A client secret takes the place of an assertion.
func TestSecret(t *testing.T) {
	directory, err := entra.New(entra.Config{Resources: []string{resource}, Secret: "right"})
	if err != nil {
		t.Fatal(err)
	}
	n := &tenant{Directory: directory}
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {n.Workload().AppID}, "scope": {resource + "/.default"}, "client_secret": {"right"},
	}
	if status, body := n.post(form); status != http.StatusOK || body["access_token"] == "" {
		t.Errorf("%d %v", status, body)
	}
	form.Set("client_secret", "wrong")
	if status, body := n.post(form); status != http.StatusUnauthorized || !strings.Contains(body["error_description"].(string), "AADSTS7000215") {
		t.Errorf("%d %v", status, body)
	}
	without := newTenant(t)
	form.Set("client_id", without.Workload().AppID)
	if status, _ := without.post(form); status != http.StatusUnauthorized {
		t.Errorf("a directory without a secret accepts one: %d", status)
	}
}
