package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"skr/api"
	"skr/hsm"
	"skr/internal/observe/journal"
	"skr/internal/refusal"
	"skr/internal/sidecar/access"
	"skr/keyrelease"
)

const (
	appToken   = "token-of-the-application"
	otherToken = "token-of-somebody-else"
)

// withAccess adds two keys and two callers. Each caller may have one of the keys.
func withAccess(t *testing.T) func(*Config) {
	t.Helper()
	dir := t.TempDir()
	file := func(name, token string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	policy, err := access.New(access.Config{
		Rules: []access.Rule{
			{Name: "app", TokenFile: file("app", appToken), Routes: []string{api.RouteRelease}, Keys: []string{"orders"}},
			{Name: "other", TokenFile: file("other", otherToken), Routes: []string{"*"}, Keys: []string{"bills"}},
		},
		Routes: api.Routes(), Keys: []string{"orders", "bills"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) {
		c.Access = policy
		c.Aliases = map[string]keyrelease.Request{"orders": named(t, c, "orders"), "bills": named(t, c, "bills")}
	}
}

func named(t *testing.T, c *Config, key string) keyrelease.Request {
	t.Helper()
	authority, err := c.Authorities.Parse("sharedeus.eus.attest.azure.net")
	if err != nil {
		t.Fatal(err)
	}
	id, err := c.Vaults.Parse("contoso.vault.azure.net", key)
	if err != nil {
		t.Fatal(err)
	}
	return keyrelease.Request{Authority: authority, Key: id}
}

func names(key string) string {
	return `{"maa_endpoint":"sharedeus.eus.attest.azure.net","akv_endpoint":"contoso.vault.azure.net","kid":"` + key + `"}`
}

func TestAccess(t *testing.T) {
	for _, c := range []struct {
		name, token, route, body string
		status                   int
		code                     api.Code
	}{
		{"own alias", appToken, api.RouteRelease, `{"alias":"orders"}`, 200, ""},
		{"own key by its names", appToken, api.RouteRelease, names("orders"), 200, ""},
		{"alias of another caller", appToken, api.RouteRelease, `{"alias":"bills"}`, 403, api.CallerNotAllowed},
		{"another caller's key by its names", appToken, api.RouteRelease, names("bills"), 403, api.CallerNotAllowed},
		{"key without an alias", appToken, api.RouteRelease, names("demo"), 403, api.CallerNotAllowed},
		{"own key in another version", appToken, api.RouteRelease, names("orders/0123"), 403, api.CallerNotAllowed},
		{"alias that no rule has", appToken, api.RouteRelease, `{"alias":"nothing"}`, 403, api.CallerNotAllowed},
		{"route that the rule does not list", appToken, api.RouteRaw, good[api.RouteRaw], 403, api.CallerNotAllowed},
		{"route of another rule", otherToken, api.RouteRaw, good[api.RouteRaw], 200, ""},
		{"no token", "", api.RouteRelease, `{"alias":"orders"}`, 403, api.CallerNotAllowed},
		{"wrong token", appToken + "x", api.RouteRelease, `{"alias":"orders"}`, 403, api.CallerNotAllowed},
		{"secret in place of an alias", appToken, api.RouteRelease, `{"alias":"token-of-the-vault"}`, 403, api.CallerNotAllowed},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPipeline(t)
			s := newServer(t, p, withAccess(t))
			r := newRequest("POST", c.route, c.body)
			if c.token != "" {
				r.Header.Set("Authorization", "Bearer "+c.token)
			}
			response := ask(t, s, r)
			if c.status == http.StatusOK {
				if response.StatusCode != http.StatusOK {
					t.Errorf("answer is %d", response.StatusCode)
				}
				return
			}
			refused := readError(t, response, c.status, c.code)
			if strings.Contains(refused.Message, "token-of") {
				t.Errorf("the answer contains a token: %s", refused.Message)
			}
			if p.key != nil {
				t.Error("the pipeline was asked for a key")
			}
		})
	}
}

// Every caller may ask for the status. A second token is always refused.
func TestAccessOddities(t *testing.T) {
	s := newServer(t, newPipeline(t), withAccess(t))
	readJSON[api.StatusResponse](t, ask(t, s, newRequest("GET", api.RouteStatus, "")))
	r := newRequest("POST", api.RouteRelease, `{"alias":"orders"}`)
	r.Header["Authorization"] = []string{"Bearer " + appToken, "Bearer " + otherToken}
	readError(t, ask(t, s, r), 403, api.CallerNotAllowed)
}

func TestAlias(t *testing.T) {
	for _, c := range []struct {
		name, body string
		status     int
	}{
		{"alone", `{"alias":"orders"}`, 200},
		{"with an access token", `{"alias":"orders","access_token":"abc"}`, 200},
		{"unknown", `{"alias":"nothing"}`, 400},
		{"beside names", `{"alias":"orders","kid":"orders"}`, 400},
		{"with an empty version", `{"alias":"orders","version":""}`, 200},
		{"with a path as version", `{"alias":"orders","version":"1/release"}`, 400},
		{"with a number as version", `{"alias":"orders","version":1}`, 400},
		{"not a string", `{"alias":{"vault":"x"}}`, 400},
		{"in capitals", `{"Alias":"orders"}`, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPipeline(t)
			s := newServer(t, p, func(config *Config) {
				config.Aliases = map[string]keyrelease.Request{"orders": named(t, config, "orders")}
			})
			response := ask(t, s, newRequest("POST", api.RouteRelease, c.body))
			if c.status != http.StatusOK {
				readError(t, response, c.status, api.BadRequest)
				return
			}
			readJSON[api.ReleaseResponse](t, response)
			if got := p.request.Key.String(); got != "https://contoso.vault.azure.net/keys/orders" {
				t.Errorf("released %s", got)
			}
		})
	}
}

// A request may name a version of the alias. Without one it gets the first.
func TestAliasVersions(t *testing.T) {
	const path = "https://contoso.vault.azure.net/keys/orders"
	for _, c := range []struct{ versions, version, want string }{
		{"all", "", path}, {"all", "0123", path + "/0123"},
		{"latest 0123", "", path}, {"latest 0123", "0123", path + "/0123"}, {"0123 4567", "", path + "/0123"}, {"0123 4567", "4567", path + "/4567"},
		{"0123 4567", "89ab", ""}, {"0123", "latest", ""},
		{"latest", "1", path}, // the version of the pipeline's key
		{"latest", "2", ""},
	} {
		versions, err := hsm.ParseVersions(strings.Fields(c.versions))
		if err != nil {
			t.Fatal(err)
		}
		p := newPipeline(t)
		s := newServer(t, p, func(config *Config) {
			config.Aliases = map[string]keyrelease.Request{"orders": named(t, config, "orders").OfVersions(versions)}
		})
		response := ask(t, s, newRequest("POST", api.RouteRelease, `{"alias":"orders","version":"`+c.version+`"}`))
		if c.want == "" {
			readError(t, response, http.StatusForbidden, api.CallerNotAllowed)
			continue
		}
		readJSON[api.ReleaseResponse](t, response)
		if got := p.request.Key.String(); got != c.want {
			t.Errorf("%s at %q: released %s, want %s", c.versions, c.version, got, c.want)
		}
	}
	s := newServer(t, newPipeline(t), nil)
	refused := readError(t, ask(t, s, newRequest("POST", api.RouteRelease, strings.Replace(names("demo"), "{", `{"version":"0123",`, 1))), 400, api.BadRequest)
	if !strings.Contains(refused.Message, "name/version") {
		t.Errorf("the refusal says %s", refused.Message)
	}
}

// Node's fetch sends Sec-Fetch-Mode on servers too. A page's request is refused with every
// content type.
func TestFetchFromServers(t *testing.T) {
	for _, c := range []struct {
		header, value string
		status        int
	}{
		{"Sec-Fetch-Mode", "cors", 200},
		{"Sec-Fetch-Dest", "empty", 200},
		{"Sec-Fetch-Site", "none", 200},
		{"Sec-Fetch-Site", "cross-site", 403},
		{"Sec-Fetch-Site", "same-origin", 403},
		{"Sec-Fetch-Site", "", 403},
		{"Origin", "http://localhost:8080", 403},
		{"Origin", "null", 403},
		{"Origin", "", 403},
	} {
		for _, media := range []string{"", "application/json", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded"} {
			r := newRequest("POST", api.RouteRaw, good[api.RouteRaw])
			r.Header.Set("Content-Type", media)
			r.Header.Set(c.header, c.value)
			if got := ask(t, newServer(t, newPipeline(t), nil), r).StatusCode; got != c.status {
				t.Errorf("%s: %q with %q got status %d, want %d", c.header, c.value, media, got, c.status)
			}
		}
	}
}

func TestLocalNames(t *testing.T) {
	const hosts = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost LocalHost4\n::1 localhost ip6-localhost ip6-loopback # local\n" +
		"fe00::0 ip6-localnet\n10.244.0.7 mypod\n127.0.0.1 skr.pod.internal\n0.0.0.0 nowhere\n" +
		"127.0.0.1\nnonsense here\n127.0.0.1 evil.test@x a_b\n::ffff:127.0.0.3 mapped"
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte(hosts), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{"localhost", "localhost4", "localhost", "ip6-localhost", "ip6-loopback", "skr.pod.internal", "mapped"}
	if got := LocalNames(path); !slices.Equal(got, want) {
		t.Errorf("names %q, want %q", got, want)
	}
	if got := LocalNames(path + ".absent"); got != nil {
		t.Errorf("names %q of no file", got)
	}
}

// auditor keeps what it recorded and may fail.
type auditor struct {
	told []error
	keys []string
	uses []Use
	fail error
	id   string
}

func (w *auditor) Released(ctx context.Context, request keyrelease.Request, _ *hsm.Key, err error) error {
	w.keys = append(w.keys, request.Key.String())
	w.told, w.id = append(w.told, err), journal.RequestID(ctx)
	return w.fail
}

func (w *auditor) Used(ctx context.Context, use Use, err error) error {
	w.uses = append(w.uses, use)
	return w.Released(ctx, use.Request, nil, err)
}

func TestAuditor(t *testing.T) {
	refused := refusal.Newf(refusal.ReleaseRejected, "the vault said no")
	for _, c := range []struct {
		name     string
		release  error
		fail     error
		status   int
		code     api.Code
		mayLearn bool
	}{
		{"released", nil, nil, 200, "", true},
		{"refused", refused, nil, 403, api.ReleaseRejected, false},
		{"released, no record", nil, errors.New("disk full"), 500, api.Internal, false},
		{"refused, no record", refused, errors.New("disk full"), 403, api.ReleaseRejected, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, w := newPipeline(t), &auditor{fail: c.fail}
			if c.release != nil {
				p.fail = func(context.Context) error { return c.release }
			}
			s := newServer(t, p, func(config *Config) { config.Auditor = w })
			response := ask(t, s, newRequest("POST", api.RouteRelease, good[api.RouteRelease]))
			if len(w.told) != 1 || !errors.Is(w.told[0], c.release) || w.id != response.Header.Get("X-Request-Id") {
				t.Errorf("the auditor recorded %v of request %q", w.told, w.id)
			}
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if got := bytes.Contains(body, []byte("c2VjcmV0")); got != c.mayLearn || response.StatusCode != c.status {
				t.Errorf("answer is %d %s", response.StatusCode, body)
			}
			if p.key != nil {
				if _, err := p.key.JWK(); err == nil {
					t.Error("the key is not wiped")
				}
			}
		})
	}
}

// The record of a refused release names the key that the caller tried to get.
func TestAuditorOfRefusedCaller(t *testing.T) {
	const bills = "https://contoso.vault.azure.net/keys/bills"
	for body, want := range map[string]string{
		`{"alias":"bills"}`: bills, names("bills"): bills, `{"alias":"nothing"}`: "", names("../bills"): "",
	} {
		w := &auditor{}
		bound := withAccess(t)
		s := newServer(t, newPipeline(t), func(c *Config) {
			bound(c)
			c.Auditor = w
		})
		r := newRequest("POST", api.RouteRelease, body)
		r.Header.Set("Authorization", "Bearer "+appToken)
		ask(t, s, r)
		if len(w.told) != 1 || w.told[0] == nil || w.keys[0] != want {
			t.Errorf("%s: the auditor recorded %q and %v", body, w.keys, w.told)
		}
	}
}

// One request gives one outcome with the stages that it passed.
func TestFinished(t *testing.T) {
	var outcomes []journal.Outcome
	p := newPipeline(t)
	s := newServer(t, p, func(c *Config) { c.Finished = func(o journal.Outcome) { outcomes = append(outcomes, o) } })
	ask(t, s, newRequest("POST", api.RouteRaw, good[api.RouteRaw]))
	ask(t, s, newRequest("POST", api.RouteRaw, "{"))
	r := newRequest("POST", api.RouteRaw, good[api.RouteRaw])
	r.Host = "evil.example"
	ask(t, s, r)
	want := []struct {
		code  string
		stage journal.Stage
	}{{"ok", journal.Answer}, {"bad_request", journal.Answer}, {"caller_not_allowed", journal.Admit}}
	if len(outcomes) != len(want) {
		t.Fatalf("%d outcomes, want %d", len(outcomes), len(want))
	}
	for i, o := range outcomes {
		if o.Code != want[i].code || o.Ended() != want[i].stage || o.Route != api.RouteRaw || o.RequestID == "" || o.End.Before(o.Start) {
			t.Errorf("outcome %d: %+v", i, o)
		}
	}
	if got := ended(outcomes[1].Notes, errors.New("x")); got != journal.Receive {
		t.Errorf("a malformed body ended in stage %q", got)
	}
}
