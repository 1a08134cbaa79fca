package hsm

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"skr/internal/refusal"
	"skr/releasepolicy"
)

const somePolicy = `{"version":"1.0.0","anyOf":[{"authority":"https://sharedeus.eus.attest.azure.net/",
	"allOf":[{"claim":"x-ms-attestation-type","equals":"sevsnpvm"}]}]}`

// described is the answer of a correct vault to GET /keys/NAME.
func (v *vault) described() tree {
	return tree{
		"key":            tree{"kid": v.kid + "/" + keyVersion, "kty": "EC-HSM"},
		"attributes":     tree{"enabled": true, "exportable": true, "nbf": notBefore.Unix(), "exp": notAfter.Unix()},
		"release_policy": tree{"data": base64.RawURLEncoding.EncodeToString([]byte(somePolicy)), "immutable": true},
	}
}

func TestDescribe(t *testing.T) {
	v := newVault(t)
	v.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/keys/"+keyName+"/" {
			t.Errorf("asked %s %s", r.Method, r.URL.Path)
		}
		_ = json.NewEncoder(w).Encode(v.described())
	}
	got, err := v.client().Describe(t.Context(), v.id(keyName), grant.Access)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != v.kid+"/"+keyVersion || got.Type != "EC-HSM" || !got.Immutable || len(got.Policy.Authorities()) != 1 ||
		!got.NotBefore.Equal(notBefore) || !got.Expires.Equal(notAfter) {
		t.Errorf("got %+v", got)
	}
	if len(v.requests) != 1 || v.requests[0].authorization != "Bearer "+grant.Access.Reveal() {
		t.Errorf("%d requests", len(v.requests))
	}
}

func TestObstacle(t *testing.T) {
	for want, change := range map[string]func(*Description){
		"":                    func(*Description) {},
		"the key is disabled": func(d *Description) { d.Enabled = false },
		"the key is not exportable, which was decided when it was created": func(d *Description) { d.Exportable = false },
		"the key has no release policy":                                    func(d *Description) { d.Policy = nil },
	} {
		d := &Description{Enabled: true, Exportable: true, Policy: new(releasepolicy.Policy)}
		change(d)
		if got := d.Obstacle(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestDescribeRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil  func(tree)
		status int
		kind   *refusal.Kind
		reason string
	}{
		"no permission":  {nil, 403, refusal.ReleaseRejected, "may not read the key"},
		"no token":       {nil, 401, refusal.ReleaseRejected, "does not accept the access token"},
		"no key":         {nil, 404, refusal.KeyNotFound, "my-key"},
		"failing":        {nil, 500, refusal.Unavailable, ""},
		"another key":    {func(o tree) { at(o, "key")["kid"] = "https://" + vaultName + "/keys/other/1" }, 200, refusal.Untrusted, "description"},
		"another vault":  {func(o tree) { at(o, "key")["kid"] = "https://evil.example/keys/" + keyName + "/1" }, 200, refusal.Untrusted, "description"},
		"no kid":         {func(o tree) { delete(at(o, "key"), "kid") }, 200, refusal.Untrusted, "description"},
		"no key in it":   {func(o tree) { delete(o, "key") }, 200, refusal.Untrusted, "description"},
		"no attributes":  {func(o tree) { delete(o, "attributes") }, 200, refusal.Untrusted, "description"},
		"no JSON policy": {func(o tree) { at(o, "release_policy")["data"] = "AAAA" }, 200, refusal.Untrusted, "description"},
		"no base64":      {func(o tree) { at(o, "release_policy")["data"] = "!" }, 200, refusal.Untrusted, ""},
		"not an object":  {func(o tree) { o["key"] = 1 }, 200, refusal.Untrusted, ""},
		"policy is empty": {func(o tree) { at(o, "release_policy")["data"] = base64.RawURLEncoding.EncodeToString([]byte("{}")) },
			200, refusal.Untrusted, "description"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t)
			v.answer = func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				answer := v.described()
				if tc.spoil != nil {
					tc.spoil(answer)
				}
				_ = json.NewEncoder(w).Encode(answer)
			}
			_, err := v.client().Describe(t.Context(), v.id(keyName), grant.Access)
			checkRefusal(t, err, tc.kind, tc.reason)
			if errors.Is(err, ErrUnreadable) != (tc.status == http.StatusForbidden) {
				t.Errorf("unreadable: %v", err)
			}
		})
	}
}
