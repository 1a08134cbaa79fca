package vault

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skr/internal/jose/jwk"
)

const unreachablePolicy = `{"version":"1.0.0","anyOf":[{"authority":"https://unreachable.localhost/","allOf":[{"claim":"c","equals":"1"}]}]}`

// TestExportRules covers the numbered rules of secure key release.
func TestExportRules(t *testing.T) {
	body := func(edit func(map[string]any)) map[string]any {
		b := exportableEC(goodPolicy)
		edit(b)
		return b
	}
	exportable := map[string]any{"exportable": true}
	cases := []struct {
		name    string
		body    map[string]any
		edit    func(*Config)
		message string // Key Vault's text
	}{
		{"software key", body(func(b map[string]any) { b["kty"] = "EC" }), nil, "AKV.SKR.1006: "},
		{"no policy", map[string]any{"kty": "EC-HSM", "attributes": exportable}, nil, "AKV.SKR.1004: Exportable keys must have release policy."},
		{"policy without data", body(func(b map[string]any) { b["release_policy"] = map[string]any{"data": ""} }), nil,
			"AKV.SKR.1004: Exportable keys must have release policy."},
		{"not exportable", body(func(b map[string]any) { delete(b, "attributes") }), nil, "AKV.SKR.1005: Non-exportable keys must not have release policy."},
		{"unreachable", exportableEC(unreachablePolicy), nil,
			"AKV.SKR.1012: The specified attestation service https://unreachable.localhost/ cannot be reached."},
		{"empty authority", exportableEC(strings.Replace(goodPolicy, "https://maa.localhost/", "", 1)), nil,
			"AKV.SKR.1012: The specified attestation service  cannot be reached."},
		{"malformed policy", exportableEC(`{"version":"1.0.0","anyOf":[]}`), nil, "line 1, column 28"},
		{"policy not base64", body(func(b map[string]any) { b["release_policy"] = map[string]any{"data": "{"} }), nil, "base64url"},
		{"symmetric", map[string]any{"kty": "oct-HSM"}, nil, "Property  has invalid value\r\n"},
		{"no type", map[string]any{}, nil, "Property  has invalid value\r\n"},
		{"curve", map[string]any{"kty": "EC", "crv": "P-224"}, nil, "crv"},
		{"size", map[string]any{"kty": "RSA", "key_size": 1024}, nil, "key_size"},
		{"exponent", map[string]any{"kty": "RSA", "public_exponent": 5}, nil, "public_exponent"},
		{"operation", map[string]any{"kty": "EC", "key_ops": []string{"fly"}}, nil, "key_ops"},
	}
	for _, c := range cases {
		s := newSession(t, KeyVault, c.edit)
		s.wantFault("POST", "/keys/k/create", c.body, http.StatusBadRequest, "", c.message)
		s.must(http.StatusNotFound, "GET", "/keys/k", nil)
	}
}

func TestStandardSKU(t *testing.T) {
	s := newSession(t, KeyVault, func(c *Config) { c.StandardSKU = true })
	s.wantFault("POST", "/keys/k/create", map[string]any{"kty": "EC-HSM"}, http.StatusForbidden, "", "Hardware key operation not allowed on standard vault")
	body := exportableEC(goodPolicy)
	body["kty"] = "EC"
	s.wantFault("POST", "/keys/k/create", body, http.StatusBadRequest, "",
		"AKV.SKR.1001: The exportable attribute is only supported with premium vaults and API version >= '7.3-preview'.")
	s.must(http.StatusOK, "POST", "/keys/k/create", map[string]any{"kty": "EC"})
}

func TestManagedHSMMessages(t *testing.T) {
	s := newSession(t, ManagedHSM, nil)
	activity := regexp.MustCompile(`^Exportable keys must have release policy\. \(Activity ID: [0-9a-f-]{36}\)$`)
	answer := s.must(http.StatusBadRequest, "POST", "/keys/k/create", map[string]any{"kty": "EC", "attributes": map[string]any{"exportable": true}})
	if message := at(t, answer, "error", "message").(string); !activity.MatchString(message) {
		t.Error(message)
	}
	s.wantFault("GET", "/keys/none", nil, http.StatusNotFound, "", "Key not found: https://"+testHost+"/keys/none (Activity ID: ")
	s.wantFault("POST", "/keys/k/create", map[string]any{}, http.StatusBadRequest, "", "JSON Web Key: kty is missing")
	s.wantFault("PUT", "/keys/k", map[string]any{"key": jwk.Key{Kty: "oct-HSM", K: encode64(make([]byte, 65))}}, http.StatusBadRequest, "",
		"JSON Web Key: k property of oct key is too large, maximum size is 64")
	s.must(http.StatusOK, "POST", "/rng", map[string]any{"count": 128})
	for _, count := range []int{0, -1, 129} {
		s.wantFault("POST", "/rng", map[string]any{"count": count}, http.StatusBadRequest, "",
			"GetRandomBytesRequest: count cannot be greater than 128 or less than 1")
	}
}

func TestImmutablePolicy(t *testing.T) {
	const frozen = "AKV.SKR.1020: Immutable Key Release Policy cannot be modified."
	s := newSession(t, KeyVault, nil)
	body := exportableEC(goodPolicy)
	body["release_policy"] = policyBody(goodPolicy, true)
	created := s.must(http.StatusOK, "POST", "/keys/k/create", body)
	if at(t, created, "release_policy", "immutable") != true {
		t.Error("the policy is not immutable")
	}
	s.wantFault("PATCH", "/keys/k", map[string]any{"release_policy": policyBody(goodPolicy, true)}, http.StatusBadRequest, "", frozen)
	s.wantFault("POST", "/keys/k/create", exportableEC(goodPolicy), http.StatusBadRequest, "", frozen)
	s.must(http.StatusOK, "PATCH", "/keys/k", map[string]any{"tags": map[string]string{"a": "b"}})
}

func TestUpdateRules(t *testing.T) {
	s := newSession(t, KeyVault, nil)
	created := s.must(http.StatusOK, "POST", "/keys/k/create", exportableEC(goodPolicy))
	_, version, _ := cutLast(at(t, created, "key", "kid").(string), "/")
	changedPolicy := map[string]any{"release_policy": policyBody(strings.Replace(goodPolicy, "sdk-test", "other", 1), false)}
	s.wantFault("PATCH", "/keys/k/"+version, changedPolicy, http.StatusBadRequest, "", "AKV.SKR.1016: Key Release Policy can only be set on versionless key")
	s.wantFault("PATCH", "/keys/k", map[string]any{"attributes": map[string]any{"exportable": false}}, http.StatusBadRequest, "", "AKV.SKR.1003: ")
	s.wantFault("PATCH", "/keys/k", map[string]any{"release_policy": policyBody(unreachablePolicy, false)}, http.StatusBadRequest, "", "AKV.SKR.1012: ")
	s.must(http.StatusOK, "PATCH", "/keys/k", changedPolicy)
	s.wantFault("POST", "/keys/k/release", releaseBody(t), http.StatusForbidden, "AccessDenied", "does not meet key release policy requirements")

	s.must(http.StatusOK, "POST", "/keys/plain/create", map[string]any{"kty": "EC-HSM"})
	s.wantFault("PATCH", "/keys/plain", changedPolicy, http.StatusBadRequest, "", "AKV.SKR.1005: ")
	s.clock.set(epoch.Add(time.Minute))
	updated := s.must(http.StatusOK, "PATCH", "/keys/plain",
		map[string]any{"key_ops": []string{"verify"}, "attributes": map[string]any{"enabled": false, "exp": 5, "nbf": 4}})
	want := map[string]any{"enabled": false, "nbf": 4.0, "exp": 5.0, "created": float64(epoch.Unix()), "updated": float64(epoch.Unix() + 60),
		"recoveryLevel": "CustomizedRecoverable+Purgeable", "recoverableDays": 7.0, "exportable": false}
	if diff := cmp.Diff(want, at(t, updated, "attributes")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]any{"verify"}, at(t, updated, "key", "key_ops")); diff != "" {
		t.Error(diff)
	}
	s.must(http.StatusNotFound, "PATCH", "/keys/none", map[string]any{})
}

func TestReleaseUsesTheVersionAsked(t *testing.T) {
	s := newSession(t, KeyVault, nil)
	first := at(t, s.must(http.StatusOK, "POST", "/keys/k/create", exportableEC(goodPolicy)), "key", "kid").(string)
	second := at(t, s.must(http.StatusOK, "POST", "/keys/k/create", exportableEC(goodPolicy)), "key", "kid").(string)
	_, version, _ := cutLast(first, "/")
	if got := s.release("/keys/k/"+version+"/release", releaseBody(t)).key.Kid; got != first {
		t.Errorf("released %s, want %s", got, first)
	}
	if got := s.release("/keys/k/release", releaseBody(t)).key.Kid; got != second {
		t.Errorf("released %s, want %s", got, second)
	}
	s.wantFault("POST", "/keys/k/"+strings.Repeat("0", 32)+"/release", releaseBody(t), http.StatusNotFound, "", "A key with (name/id) k/0000")
}

func TestSoftDelete(t *testing.T) {
	s := newSession(t, KeyVault, func(c *Config) { c.DeletionDelay = time.Second })
	s.must(http.StatusOK, "POST", "/keys/k/create", map[string]any{"kty": "EC", "tags": map[string]string{"b": "2", "a": "1"}})
	s.must(http.StatusOK, "DELETE", "/keys/k", nil)
	s.wantFault("GET", "/deletedkeys/k", nil, http.StatusNotFound, "", "Deleted Key not found: k")
	s.wantFault("POST", "/keys/K/create", map[string]any{"kty": "EC"}, http.StatusConflict, "ObjectIsBeingDeleted", "being deleted")
	s.clock.set(epoch.Add(time.Second))
	s.wantFault("POST", "/keys/K/create", map[string]any{"kty": "EC"}, http.StatusConflict, "ObjectIsDeletedButRecoverable", "deleted but recoverable")
	deleted := s.must(http.StatusOK, "GET", "/deletedkeys/k", nil)
	if at(t, deleted, "scheduledPurgeDate") != float64(epoch.Unix()+7*24*3600) || at(t, deleted, "deletedDate") != float64(epoch.Unix()) {
		t.Errorf("dates: %v", deleted)
	}
	list := s.must(http.StatusOK, "GET", "/deletedkeys", nil)
	if n := len(at(t, list, "value").([]any)); n != 1 {
		t.Errorf("%d deleted keys", n)
	}
	s.must(http.StatusOK, "POST", "/deletedkeys/k/recover", nil)
	s.clock.set(epoch.Add(2 * time.Second))
	s.must(http.StatusOK, "GET", "/keys/k", nil)
	s.must(http.StatusOK, "DELETE", "/keys/k", nil)
	s.clock.set(epoch.Add(time.Hour))
	s.must(http.StatusNoContent, "DELETE", "/deletedkeys/k", nil)
	s.must(http.StatusNotFound, "GET", "/deletedkeys/k", nil)
	s.clock.set(epoch.Add(time.Hour + time.Second))
	s.must(http.StatusOK, "POST", "/keys/k/create", map[string]any{"kty": "EC"})
	s.must(http.StatusOK, "DELETE", "/keys/k", nil)
	s.clock.set(epoch.Add(8 * 24 * time.Hour))
	s.must(http.StatusNotFound, "GET", "/deletedkeys/k", nil)
	s.must(http.StatusOK, "POST", "/keys/k/create", map[string]any{"kty": "EC"})
}

// TestLists follows links in both flavours' forms.
func TestLists(t *testing.T) {
	forms := map[Flavour]*regexp.Regexp{
		KeyVault:   regexp.MustCompile(`^https://test\.vault\.localhost:443/keys(/b/versions)?\?api-version=7\.4&\$skiptoken=[\w-]+&maxresults=2$`),
		ManagedHSM: regexp.MustCompile(`^https://test\.vault\.localhost/keys(/b/versions)?\?\$skiptoken=[\w-]+&maxresults=2$`),
	}
	for flavour, form := range forms {
		s := newSession(t, flavour, nil)
		for _, name := range []string{"c", "a", "b", "b", "b", "d", "E"} {
			s.must(http.StatusOK, "POST", "/keys/"+name+"/create", map[string]any{"kty": "EC"})
		}
		for path, want := range map[string]int{"/keys": 5, "/keys/b/versions": 3} {
			kids := s.follow(path+"?api-version=7.4&maxresults=2", form)
			if len(kids) != want || !slices.IsSorted(kids[:len(kids)-1]) {
				t.Errorf("%v %s: %v", flavour, path, kids)
			}
			if got := at(t, s.must(http.StatusOK, "GET", path, nil), "value").([]any); len(got) != want {
				t.Errorf("%v %s: %d on one page", flavour, path, len(got))
			}
		}
		for _, query := range []string{"maxresults=0", "maxresults=26", "maxresults=x", "$skiptoken=!"} {
			s.must(http.StatusBadRequest, "GET", "/keys?api-version=7.4&"+query, nil)
		}
	}
}

func (s *session) follow(path string, form *regexp.Regexp) (kids []string) {
	s.t.Helper()
	for pages := 0; path != ""; pages++ {
		answer := s.must(http.StatusOK, "GET", path, nil)
		for _, item := range at(s.t, answer, "value").([]any) {
			kids = append(kids, at(s.t, item, "kid").(string))
		}
		link, _ := answer["nextLink"].(string)
		if _, there := answer["nextLink"]; there == (s.vault.managedHSM() && link == "") {
			s.t.Errorf("nextLink: %v", answer["nextLink"])
		}
		if link == "" {
			return kids
		}
		if !form.MatchString(link) || pages > 9 {
			s.t.Fatalf("link %s", link)
		}
		u, err := url.Parse(link)
		if err != nil {
			s.t.Fatal(err)
		}
		path = u.RequestURI()
	}
	return kids
}

func TestPermissions(t *testing.T) {
	deny := func(_ Caller, action, name string) error {
		if strings.HasSuffix(action, "/release/action") && name == "k" {
			return errors.New("no")
		}
		return nil
	}
	s := newSession(t, KeyVault, func(c *Config) { c.Permissions = deny })
	s.must(http.StatusOK, "POST", "/keys/k/create", exportableEC(goodPolicy))
	s.wantFault("POST", "/keys/k/release", releaseBody(t), http.StatusForbidden, "ForbiddenByRbac",
		"Caller: appid=app;oid=object;iss=https://sts.windows.net/tenant/\r\nAction: 'Microsoft.KeyVault/vaults/keys/release/action'\r\n")
	s = newSession(t, KeyVault, func(c *Config) { c.Permissions, c.AccessPolicies = deny, true })
	s.wantFault("POST", "/keys/k/release", releaseBody(t), http.StatusForbidden, "AccessDenied",
		"does not have keys release permission on key vault 'test;location=emulated'")
}

func TestImport(t *testing.T) {
	for _, curve := range []string{"P-256", "P-384", "P-521", "P-256K"} {
		c, _ := curveNamed(curve)
		m, err := generateEC(c, true)
		if err != nil {
			t.Fatal(err)
		}
		k, err := jwk.FromPrivate(m.private)
		if err != nil {
			t.Fatal(err)
		}
		k.Kty = "EC-HSM"
		s := newSession(t, KeyVault, nil)
		body := exportableEC(goodPolicy)
		body["key"] = k
		got := s.must(http.StatusOK, "PUT", "/keys/k", body)
		if at(t, got, "key", "x") != k.X || at(t, got, "key", "kty") != "EC-HSM" {
			t.Errorf("%s: %v", curve, got)
		}
		if !belongsTo(t, s.release("/keys/k/release", releaseBody(t)), m) {
			t.Errorf("%s: another key is released", curve)
		}
		k.D = k.X
		body["key"] = k
		s.wantFault("PUT", "/keys/bad", body, http.StatusBadRequest, "", `The property "key" must be a valid JsonWebKey object.`)
	}
	s := newSession(t, ManagedHSM, nil)
	body := exportableEC(goodPolicy)
	body["key"] = map[string]any{"kty": "oct-HSM", "k": encode64([]byte("0123456789abcdef0123456789abcdef"))}
	s.must(http.StatusOK, "PUT", "/keys/k", body)
	if got := s.release("/keys/k/release", releaseBody(t)); string(got.plaintext) != "0123456789abcdef0123456789abcdef" {
		t.Error("another secret is released")
	}
	s.must(http.StatusBadRequest, "PUT", "/keys/k", map[string]any{"key": 1})
}

func belongsTo(t *testing.T, r released, m material) bool {
	t.Helper()
	want, err := m.exported(KeyVault)
	if err != nil {
		t.Fatal(err)
	}
	return string(want) == string(r.plaintext)
}

func TestDefaultOperations(t *testing.T) {
	want := map[string][]string{
		"EC":      {"sign", "verify"},
		"oct-HSM": {"decrypt", "deriveKey", "encrypt", "sign", "unwrapKey", "verify", "wrapKey"},
	}
	s := newSession(t, ManagedHSM, nil)
	for _, kty := range slices.Sorted(maps.Keys(want)) {
		created := s.must(http.StatusOK, "POST", "/keys/k/create", map[string]any{"kty": kty})
		var got []string
		data, _ := json.Marshal(at(t, created, "key", "key_ops"))
		_ = json.Unmarshal(data, &got)
		slices.Sort(got)
		if diff := cmp.Diff(want[kty], got); diff != "" {
			t.Errorf("%s: %s", kty, diff)
		}
	}
}
