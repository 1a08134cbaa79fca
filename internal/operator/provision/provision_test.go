//go:build linux

package provision_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"skr/hsm"
	"skr/internal/azure/httpclient"
	"skr/internal/operator/provision"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/releasepolicy"
	"skr/test/emulator"
	"skr/test/emulator/vault"
)

const policyText = `{"version":"1.0.0","anyOf":[{"authority":"https://%s/","allOf":[{"claim":"x-ms-attestation-type","equals":"sevsnpvm"}]}]}`

// cloud is an emulated Azure with a client for its vaults.
type cloud struct {
	*emulator.Cloud
	t     *testing.T
	rules *hsm.Vaults
}

func newCloud(t *testing.T, change func(host string, c *vault.Config)) *cloud {
	t.Helper()
	running, err := emulator.Start(t.Context(), emulator.Config{Dir: t.TempDir(), Vaults: change})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = running.Close() })
	_, port, _ := strings.Cut(running.Host("demo", "vault"), ":")
	rules, err := hsm.ParseVaults([]string{"*.vault.localhost:" + port, "*.managedhsm.localhost:" + port})
	if err != nil {
		t.Fatal(err)
	}
	return &cloud{running, t, rules}
}

func (c *cloud) id(service, name string) hsm.KeyID {
	c.t.Helper()
	id, err := c.rules.Parse(c.Host("demo", service), name)
	if err != nil {
		c.t.Fatal(err)
	}
	return id
}

func (c *cloud) policy() *releasepolicy.Policy {
	c.t.Helper()
	policy, err := releasepolicy.Parse(fmt.Appendf(nil, policyText, c.AttestationHost()))
	if err != nil {
		c.t.Fatal(err)
	}
	return policy
}

// transport is skr's own, with the cloud as its target.
func (c *cloud) transport() policy.Transporter {
	return httpclient.New(httpclient.Config{
		Service: "the vault", Transport: c.HTTPClient().Transport, Retry: httpclient.Retry{Attempts: 1},
	}).Transporter()
}

func (c *cloud) open(service string, over policy.Transporter) *provision.Vault {
	c.t.Helper()
	token, err := c.AccessToken(c.Host("demo", service))
	if err != nil {
		c.t.Fatal(err)
	}
	opened, err := provision.Open(provision.Config{
		Vault: c.id(service, "any").Vault(), Access: secmem.NewText(token), Reads: over, Writes: over,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return opened
}

func request(t *testing.T, s provision.Spec) *provision.Request {
	t.Helper()
	r, err := provision.NewRequest(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestMake(t *testing.T) {
	c := newCloud(t, nil)
	until := time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		service string
		spec    provision.Spec
		kind    string
	}{
		"rsa":       {"vault", provision.Spec{Immutable: true, Tags: map[string]string{"a": "b"}}, "RSA-HSM 3072 "},
		"rsa-4096":  {"managedhsm", provision.Spec{Size: 2048, Expires: until, NotBefore: until.AddDate(-1, 0, 0)}, "RSA-HSM 2048 "},
		"ec":        {"managedhsm", provision.Spec{Type: "EC-HSM"}, "EC-HSM 0 P-256"},
		"ec-p256k":  {"vault", provision.Spec{Type: "EC-HSM", Curve: "P-256K", Operations: []string{"sign"}}, "EC-HSM 0 P-256K"},
		"symmetric": {"managedhsm", provision.Spec{Type: "oct-HSM", Operations: []string{"wrapKey", "unwrapKey"}}, "oct-HSM 0 "},
	} {
		t.Run(name, func(t *testing.T) {
			test.spec.ID, test.spec.Policy = c.id(test.service, name), c.policy()
			key, err := c.open(test.service, c.transport()).Make(t.Context(), request(t, test.spec))
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("%s %d %s", key.Public.Kty, key.Size(), key.Public.Crv); got != test.kind {
				t.Errorf("made %q, want %q", got, test.kind)
			}
			if !key.Exportable || key.Immutable != test.spec.Immutable || key.ID.Version() == "" || key.Created.IsZero() || !key.Expires.Equal(test.spec.Expires) {
				t.Errorf("made %+v", key)
			}
			if err := provision.SamePolicy(key, c.policy()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRequestRefuses(t *testing.T) {
	c := newCloud(t, nil)
	in := func(service string) provision.Spec { return provision.Spec{ID: c.id(service, "k"), Policy: c.policy()} }
	for says, change := range map[string]func(*provision.Spec){
		"no name":                         func(s *provision.Spec) { s.ID = hsm.KeyID{} },
		"which the vault chooses":         func(s *provision.Spec) { s.ID = c.id("vault", "k/1") },
		"release policy is missing":       func(s *provision.Spec) { s.Policy = nil },
		`kty: "RSA" is none of`:           func(s *provision.Spec) { s.Type = "RSA" },
		`kty: "HSM" is none of`:           func(s *provision.Spec) { s.Type = "HSM" },
		"size: 1024 is not from 2048":     func(s *provision.Spec) { s.Size = 1024 },
		"size: 520 is not from 128":       func(s *provision.Spec) { s.Type, s.Size = "oct-HSM", 520 },
		"an EC-HSM key has a curve":       func(s *provision.Spec) { s.Type, s.Size = "EC-HSM", 256 },
		"an RSA-HSM key has a size":       func(s *provision.Spec) { s.Curve = "P-256" },
		`curve: "P-224" is none of`:       func(s *provision.Spec) { s.Type, s.Curve = "EC-HSM", "P-224" },
		`ops: "a b" is no operation`:      func(s *provision.Spec) { s.Operations = []string{"a b"} },
		`ops: "sign" stands twice`:        func(s *provision.Spec) { s.Operations = []string{"sign", "sign"} },
		"would expire before it is valid": func(s *provision.Spec) { s.NotBefore, s.Expires = time.Unix(2, 0), time.Unix(1, 0) },
	} {
		spec := in("vault")
		change(&spec)
		if _, err := provision.NewRequest(spec); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
	spec := in("managedhsm")
	spec.Type = "oct-HSM"
	if r := request(t, spec); r.Size() != 256 {
		t.Errorf("a symmetric key of %d bits", r.Size())
	}
}

// Requests that the services are not known to support cause a warning and are sent. Only the
// vault refuses them.
func TestServiceLimits(t *testing.T) {
	c := newCloud(t, nil)
	for says, change := range map[string]func(*provision.Spec){
		"symmetric keys of a Key Vault are a preview": func(s *provision.Spec) { s.Type = "oct-HSM" },
		"size: 8192 is none of 2048 3072 4096":        func(s *provision.Spec) { s.Size = 8192 },
		`ops: "secureWrapKey" is none of encrypt`:     func(s *provision.Spec) { s.Operations = []string{"secureWrapKey"} },
		"name: it has 128 characters":                 func(s *provision.Spec) { s.ID = c.id("vault", strings.Repeat("k", 128)) },
	} {
		spec := provision.Spec{ID: c.id("vault", "k"), Policy: c.policy()}
		change(&spec)
		r := request(t, spec)
		if len(r.Warnings()) != 1 || !strings.Contains(r.Warnings()[0], says) {
			t.Errorf("warnings %q, want %q", r.Warnings(), says)
		}
		if _, err := c.open("vault", c.transport()).Make(t.Context(), r); !errors.Is(err, refusal.ManagementRejected) {
			t.Errorf("%s: %v; want the vault's refusal", says, err)
		}
	}
	if r := request(t, provision.Spec{ID: c.id("vault", "k"), Policy: c.policy()}); len(r.Warnings()) != 0 {
		t.Errorf("warnings %q", r.Warnings())
	}
}

// tampering changes the answers to GET requests in transit.
type tampering struct {
	next   policy.Transporter
	change func(bundle map[string]any)
}

func (t tampering) Do(r *http.Request) (*http.Response, error) {
	answer, err := t.next.Do(r)
	if err != nil || r.Method != http.MethodGet || answer.StatusCode != http.StatusOK {
		return answer, err
	}
	var bundle map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&bundle); err != nil {
		return nil, err
	}
	t.change(bundle)
	body, err := json.Marshal(bundle)
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, err
}

// The vault must store what was requested.
func TestMakeReadsBack(t *testing.T) {
	c := newCloud(t, nil)
	at := func(o map[string]any, name string) map[string]any { inner, _ := o[name].(map[string]any); return inner }
	other := provision.Spec{ID: c.id("vault", "other"), Policy: c.policy(), Type: "EC-HSM", Curve: "P-384"}
	if _, err := c.open("vault", c.transport()).Make(t.Context(), request(t, other)); err != nil {
		t.Fatal(err)
	}
	n := 0
	for says, change := range map[string]func(o map[string]any){
		"not exportable":               func(o map[string]any) { at(o, "attributes")["exportable"] = false },
		"is disabled":                  func(o map[string]any) { at(o, "attributes")["enabled"] = false },
		"immutable is true":            func(o map[string]any) { at(o, "release_policy")["immutable"] = true },
		`its type is "EC"`:             func(o map[string]any) { at(o, "key")["kty"] = "EC" },
		`its operations are ["sign"]`:  func(o map[string]any) { at(o, "key")["key_ops"] = []string{"sign"} },
		"its tags differ":              func(o map[string]any) { o["tags"] = map[string]any{"x": "y"} },
		"its times of validity differ": func(o map[string]any) { at(o, "attributes")["exp"] = 4102444800 },
		"its release policy differs": func(o map[string]any) {
			at(o, "release_policy")["data"] = "eyJ2ZXJzaW9uIjoiMS4wLjAiLCJhbnlPZiI6W3siYXV0aG9yaXR5IjoiaHR0cHM6Ly9hIiwi" +
				"YWxsT2YiOlt7ImNsYWltIjoiYSIsImVxdWFscyI6ImIifV19XX0"
		},
		"release policy cannot be read":      func(o map[string]any) { delete(o, "release_policy") },
		"it is of":                           func(o map[string]any) { at(o, "key")["kid"] = c.id("vault", "foreign").String() + "/1" },
		"is not in the vault":                func(o map[string]any) { at(o, "key")["kid"] = c.id("managedhsm", "k").String() + "/1" },
		"is not a key identifier":            func(o map[string]any) { at(o, "key")["kid"] = "nonsense" },
		"lacks its id or its attributes":     func(o map[string]any) { delete(o, "attributes") },
		"member key is missing":              func(o map[string]any) { delete(o, "key") },
		"is neither a type nor an operation": func(o map[string]any) { at(o, "key")["key_ops"] = []string{"\x1b[2J"} },
		"point":                              func(o map[string]any) { at(o, "key")["x"] = "AAAA" },
	} {
		n++
		spec := provision.Spec{ID: c.id("vault", fmt.Sprintf("k%d", n)), Policy: c.policy(), Type: "EC-HSM"}
		_, err := c.open("vault", tampering{c.transport(), change}).Make(t.Context(), request(t, spec))
		if !errors.Is(err, refusal.Untrusted) || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
}

func TestImport(t *testing.T) {
	c := newCloud(t, nil)
	files := map[string]string{
		"symmetric": `{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAA"}`,
		"ec": `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",` + // RFC 7515 appendix A.3
			`"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}`,
	}
	for name, text := range files {
		material, err := hsm.ReadKey([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		defer material.Wipe()
		spec := provision.Spec{ID: c.id("managedhsm", name), Policy: c.policy(), Material: material}
		key, err := c.open("managedhsm", c.transport()).Make(t.Context(), request(t, spec))
		if err != nil || !strings.HasSuffix(key.Public.Kty, "-HSM") {
			t.Fatalf("%s: %v", name, err)
		}
		checkPreview(t, request(t, spec), text)
	}
	// If the vault returns another public key than the one sent, the import fails.
	material, err := hsm.ReadKey([]byte(files["ec"]))
	if err != nil {
		t.Fatal(err)
	}
	spec := provision.Spec{ID: c.id("vault", "ec"), Policy: c.policy(), Material: material}
	swapped := tampering{c.transport(), func(o map[string]any) {
		key, _ := o["key"].(map[string]any)
		key["x"], key["y"] = "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU" // the base point: SEC 2 section 2.4.2
	}}
	if _, err := c.open("vault", swapped).Make(t.Context(), request(t, spec)); err == nil || !strings.Contains(err.Error(), "its public key differs") {
		t.Errorf("error %v", err)
	}
}

// checkPreview checks that the preview contains the whole request except the key.
func checkPreview(t *testing.T, r *provision.Request, text string) {
	t.Helper()
	preview, err := r.Preview("7.5")
	if err != nil || preview.Method != http.MethodPut || !strings.HasSuffix(preview.URL, "/keys/"+r.ID().Name()+"?api-version=7.5") {
		t.Fatalf("%+v, %v", preview, err)
	}
	var private map[string]string
	_ = json.Unmarshal([]byte(text), &private) // the key was read before
	for _, name := range []string{"d", "k"} {
		if secret := private[name]; secret != "" && (bytes.Contains(preview.Body, []byte(secret)) || !bytes.Contains(preview.Body, []byte(`"`+name+`":"withheld"`))) {
			t.Errorf("the preview holds %q: %s", name, preview.Body)
		}
	}
}

// A preview equals the request byte for byte.
func TestPreviewIsWhatIsSent(t *testing.T) {
	c := newCloud(t, nil)
	var sent []byte
	seen := recording{c.transport(), &sent}
	spec := provision.Spec{ID: c.id("vault", "k"), Policy: c.policy(), Type: "EC-HSM", Tags: map[string]string{"b": "1", "a": "2"},
		Expires: time.Unix(4102444800, 0)}
	preview, err := request(t, spec).Preview("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.open("vault", seen).Make(t.Context(), request(t, spec)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sent, preview.Body) {
		t.Errorf("sent %s\npreviewed %s", sent, preview.Body)
	}
}

type recording struct {
	next policy.Transporter
	sent *[]byte
}

func (r recording) Do(request *http.Request) (*http.Response, error) {
	if request.Method == http.MethodPost {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		*r.sent, request.Body = body, io.NopCloser(bytes.NewReader(body))
	}
	return r.next.Do(request)
}

// Lists of both services are followed across their pages.
func TestList(t *testing.T) {
	for _, service := range []string{"vault", "managedhsm"} {
		c := newCloud(t, nil)
		opened := c.open(service, c.transport())
		if items, err := opened.List(t.Context()); err != nil || len(items) != 0 {
			t.Fatalf("%d keys, %v", len(items), err)
		}
		var makers sync.WaitGroup
		for i := range 60 { // a page has 25 keys
			spec := provision.Spec{ID: c.id(service, fmt.Sprintf("k%02d", i)), Policy: c.policy(), Type: "EC-HSM"}
			makers.Go(func() {
				if _, err := opened.Make(t.Context(), request(t, spec)); err != nil {
					t.Error(err)
				}
			})
		}
		makers.Wait()
		items, err := opened.List(t.Context())
		if err != nil || len(items) != 60 || items[59].ID.Name() != "k59" || !items[59].Exportable {
			t.Errorf("%s: %d keys, %v", service, len(items), err)
		}
	}
}

// handler answers without a network.
type handler func(w http.ResponseWriter, r *http.Request)

func (h handler) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h(w, r)
	answer := w.Result()
	answer.Request = r
	return answer, nil
}

func TestHostileLists(t *testing.T) {
	c := newCloud(t, nil)
	here := c.id("vault", "k").Vault()
	for says, page := range map[string]string{
		"leads to another host":          `{"value":[],"nextLink":"https://evil.example/keys"}`,
		"the list does not end":          fmt.Sprintf(`{"value":[],"nextLink":"https://%s/keys?more"}`, here),
		"is not in the vault":            `{"value":[{"kid":"https://evil.example/keys/k","attributes":{}}]}`,
		"lacks its id or its attributes": `{"value":[{}]}`,
		"the vault's answer cannot":      `[]`,
		"a key lacks":                    `{"value":[null]}`,
	} {
		opened := c.open("vault", handler(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Host != here.String() {
				t.Errorf("the token was sent to %q", r.URL.Host)
			}
			_, _ = io.WriteString(w, page)
		}))
		if _, err := opened.List(t.Context()); !errors.Is(err, refusal.Untrusted) || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
}

func TestRefusals(t *testing.T) {
	c := newCloud(t, func(_ string, config *vault.Config) {
		config.AccessPolicies = true
		config.Permissions = func(_ vault.Caller, _, name string) error {
			if name == "forbidden" {
				return errors.New("no")
			}
			return nil
		}
	})
	token, err := c.AccessToken(c.Host("demo", "vault"))
	if err != nil {
		t.Fatal(err)
	}
	opened := c.open("vault", c.transport())
	made := provision.Spec{ID: c.id("vault", "deleted"), Policy: c.policy(), Type: "EC-HSM"}
	if _, err := opened.Make(t.Context(), request(t, made)); err != nil {
		t.Fatal(err)
	}
	remove(t, c, made.ID, token)
	for name, test := range map[string]struct {
		over policy.Transporter
		kind *refusal.Kind
		says string
	}{
		"deleted":   {c.transport(), refusal.ManagementRejected, "can still be recovered"},
		"forbidden": {c.transport(), refusal.ManagementRejected, "add create to its key permissions in the vault's access policy"},
		"conflict":  {status(409, ""), refusal.ManagementRejected, "is being changed or was deleted"},
		"token":     {status(401, ""), refusal.ManagementRejected, "it must be for the audience https://vault.localhost"},
		"firewall":  {status(403, "ForbiddenByFirewall"), refusal.ManagementRejected, "firewall does not let this address in"},
		"private":   {status(403, "ForbiddenByConnection"), refusal.ManagementRejected, "use its private endpoint"},
		"unknown":   {status(403, ""), refusal.ManagementRejected, "the identity needs the role Key Vault Crypto Officer"},
		"invalid":   {status(400, ""), refusal.ManagementRejected, "calls the request invalid"},
		"page": {handler(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }), refusal.Untrusted,
			"the vault's answer cannot be used"},
		"strange": {status(302, ""), refusal.Untrusted, "the vault's answer cannot be used"},
	} {
		spec := provision.Spec{ID: c.id("vault", name), Policy: c.policy(), Type: "EC-HSM"}
		_, err := c.open("vault", test.over).Make(t.Context(), request(t, spec))
		refused, ok := errors.AsType[*refusal.Error](err)
		if !ok || refused.Kind != test.kind || !strings.Contains(refused.Public(), test.says) {
			t.Errorf("%s: %v, want %v: %q", name, err, test.kind, test.says)
		}
		if strings.Contains(fmt.Sprint(err), token) || strings.Contains(fmt.Sprint(err), "\n") {
			t.Errorf("%s: the error contains the token or more than one line", name)
		}
	}
}

func status(code int, inner string) handler {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, `{"error":{"code":"X","message":"you sent %s","innererror":{"code":%q}}}`, r.Header.Get("Authorization"), inner)
	}
}

func remove(t *testing.T, c *cloud, id hsm.KeyID, token string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, id.String()+"?api-version=7.4", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := c.HTTPClient().Do(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("deleting: %v", err)
	}
	_ = answer.Body.Close()
}

func TestSymmetricKeysHaveNoPEM(t *testing.T) {
	c := newCloud(t, nil)
	spec := provision.Spec{ID: c.id("managedhsm", "aes"), Policy: c.policy(), Type: "oct-HSM"}
	key, err := c.open("managedhsm", c.transport()).Make(t.Context(), request(t, spec))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := key.PEM(); err == nil {
		t.Errorf("%s", text)
	}
}
