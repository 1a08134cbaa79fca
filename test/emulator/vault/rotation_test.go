package vault

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// quarterly is the rotation policy of the Azure SDK's recorded test.
func quarterly() map[string]any {
	return map[string]any{
		"attributes": map[string]any{"expiryTime": "P90D"},
		"lifetimeActions": []any{map[string]any{
			"action": map[string]any{"type": "rotate"}, "trigger": map[string]any{"timeAfterCreate": "P30D"},
		}},
	}
}

// TestRotationPolicyForms compares answers with the recorded forms, byte by
// byte.
func TestRotationPolicyForms(t *testing.T) {
	want := map[Flavour][2]string{
		KeyVault: {
			`{"id":"https://test.vault.localhost/keys/k/rotationpolicy","lifetimeActions":[{"trigger":{"timeBeforeExpiry":"P30D"},` +
				`"action":{"type":"Notify"}}],"attributes":{}}`,
			`{"id":"https://test.vault.localhost/keys/k/rotationpolicy","lifetimeActions":[{"trigger":{"timeAfterCreate":"P30D"},` +
				`"action":{"type":"Rotate"}},{"trigger":{"timeBeforeExpiry":"P30D"},"action":{"type":"Notify"}}],` +
				`"attributes":{"expiryTime":"P90D","created":1680041154,"updated":1680041154}}`,
		},
		ManagedHSM: {
			`{"attributes":{},"id":"keys/k/rotationpolicy","lifetimeActions":[]}`,
			`{"attributes":{"created":1680041154,"expiryTime":"P90D","updated":1680041154},"id":"keys/k/rotationpolicy",` +
				`"lifetimeActions":[{"action":{"type":"rotate"},"trigger":{"timeAfterCreate":"P30D"}}]}`,
		},
	}
	for flavour, forms := range want {
		s := newSession(t, flavour, nil)
		s.must(http.StatusOK, "POST", "/keys/k/create", map[string]any{"kty": "EC-HSM"})
		unset := s.do("GET", "/keys/k/rotationpolicy", nil).Body.String()
		set := s.do("PUT", "/keys/k/rotationpolicy", quarterly()).Body.String()
		if diff := cmp.Diff(forms, [2]string{unset, set}); diff != "" {
			t.Errorf("%v: %s", flavour, diff)
		}
		if got := s.do("GET", "/keys/k/RotationPolicy", nil).Body.String(); got != set {
			t.Errorf("%v: read back %s", flavour, got)
		}
	}
}

func TestRotationPolicyRefused(t *testing.T) {
	s := newSession(t, KeyVault, nil)
	s.must(http.StatusOK, "POST", "/keys/k/create", map[string]any{"kty": "EC"})
	for text, words := range map[string]string{
		`{"attributes":{"expiryTime":"P27D"}}`:                                                                            "expiryTime",
		`{"attributes":{"expiryTime":"90 days"}}`:                                                                         "expiryTime",
		`{"attributes":{"expiryTime":"P"}}`:                                                                               "expiryTime",
		`{"lifetimeActions":[{"action":{"type":"dance"},"trigger":{"timeAfterCreate":"P30D"}}]}`:                          "action type",
		`{"lifetimeActions":[{"action":{"type":"rotate"},"trigger":{"timeAfterCreate":"P6D"}}]}`:                          "trigger",
		`{"lifetimeActions":[{"action":{"type":"rotate"},"trigger":{}}]}`:                                                 "trigger",
		`{"lifetimeActions":[{"action":{"type":"rotate"},"trigger":{"timeBeforeExpiry":"P30D"}}]}`:                        "expiryTime",
		`{"lifetimeActions":[{"action":{"type":"rotate"},"trigger":{"timeAfterCreate":"P8D","timeBeforeExpiry":"P8D"}}]}`: "trigger",
		`[]`: "not valid JSON",
	} {
		s.wantFault("PUT", "/keys/k/rotationpolicy", json.RawMessage(text), http.StatusBadRequest, "", words)
	}
	s.must(http.StatusNotFound, "PUT", "/keys/none/rotationpolicy", quarterly())
	s.must(http.StatusNotFound, "GET", "/keys/none/rotationpolicy", nil)
	s.must(http.StatusNotFound, "POST", "/keys/none/rotate", nil)
	s.must(http.StatusNotFound, "PUT", "/keys/k/0123/rotationpolicy", quarterly())
}

// TestRotate: the new version is of the same kind and under the same policy,
// and the version before is still released.
func TestRotate(t *testing.T) {
	for _, flavour := range []Flavour{KeyVault, ManagedHSM} {
		s := newSession(t, flavour, nil)
		body := exportableEC(goodPolicy)
		body["tags"] = map[string]string{"team": "payroll"}
		created := s.must(http.StatusOK, "POST", "/keys/k/create", body)
		s.must(http.StatusOK, "PUT", "/keys/k/rotationpolicy", quarterly())
		s.clock.set(epoch.Add(time.Minute))
		rotated := s.must(http.StatusOK, "POST", "/keys/k/rotate", nil)
		if at(t, rotated, "attributes", "exp") != float64(epoch.Add(time.Minute).AddDate(0, 0, 90).Unix()) {
			t.Errorf("%v: expiry %v", flavour, rotated)
		}
		for _, path := range [][]string{{"key", "crv"}, {"key", "kty"}, {"release_policy"}, {"tags"}, {"attributes", "exportable"}} {
			if diff := cmp.Diff(at(t, created, path...), at(t, rotated, path...)); diff != "" {
				t.Errorf("%v: %v: %s", flavour, path, diff)
			}
		}
		for kid, path := range map[any]string{at(t, created, "key", "kid"): versionPath(t, created), at(t, rotated, "key", "kid"): "/keys/k"} {
			if got := s.release(path+"/release", releaseBody(t)).key.Kid; got != kid {
				t.Errorf("%v: %s released %s, want %s", flavour, path, got, kid)
			}
		}
	}
}

func versionPath(t *testing.T, bundle map[string]any) string {
	t.Helper()
	_, version, _ := cutLast(at(t, bundle, "key", "kid").(string), "/")
	return "/keys/k/" + version
}

// TestRotationPolicyActs: each trigger rotates once when its time has come.
func TestRotationPolicyActs(t *testing.T) {
	versions := func(s *session, days int) int {
		s.clock.set(epoch.AddDate(0, 0, days))
		return len(at(t, s.must(http.StatusOK, "GET", "/keys/k/versions", nil), "value").([]any))
	}
	before := quarterly()
	before["lifetimeActions"] = []any{map[string]any{
		"action": map[string]any{"type": "Rotate"}, "trigger": map[string]any{"timeBeforeExpiry": "P1M"},
	}}
	cases := map[string]struct {
		policy map[string]any
		want   map[int]int // versions by day
	}{
		"after creation": {quarterly(), map[int]int{29: 1, 30: 2, 59: 2, 60: 3}},
		"before expiry":  {before, map[int]int{20: 1, 33: 2, 80: 2, 95: 3}},
	}
	for name, c := range cases {
		s := newSession(t, KeyVault, nil)
		// The first version expires on day 60: 1680041154 is 2023-03-28, and one month before is day 29.
		s.must(http.StatusOK, "POST", "/keys/k/create",
			map[string]any{"kty": "EC", "attributes": map[string]any{"exp": epoch.AddDate(0, 0, 60).Unix()}})
		s.must(http.StatusOK, "PUT", "/keys/k/rotationpolicy", c.policy)
		for day := range 100 {
			if want, asked := c.want[day]; asked && versions(s, day) != want {
				t.Errorf("%s: %d versions on day %d, want %d", name, versions(s, day), day, want)
			}
		}
	}
}
