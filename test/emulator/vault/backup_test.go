package vault

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBackupAndRestore moves keys of every kind, with all their versions, into
// another vault of the same subscription.
func TestBackupAndRestore(t *testing.T) {
	shared := bytes.Repeat([]byte{7}, 32)
	for _, flavour := range []Flavour{KeyVault, ManagedHSM} {
		from := newSession(t, flavour, func(c *Config) { c.BackupKey = shared })
		bodies := map[string]map[string]any{
			"rsa": {"kty": "RSA"}, "p256": {"kty": "EC"}, "p256k": exportableEC(goodPolicy), "p521": {"kty": "EC", "crv": "P-521"},
		}
		if flavour == ManagedHSM {
			bodies["oct"] = map[string]any{"kty": "oct-HSM"}
		}
		for _, name := range slices.Sorted(maps.Keys(bodies)) {
			from.must(http.StatusOK, "POST", "/keys/"+name+"/create", bodies[name])
			from.must(http.StatusOK, "PATCH", "/keys/"+name, map[string]any{"attributes": map[string]any{"enabled": false}})
			from.must(http.StatusOK, "PUT", "/keys/"+name+"/rotationpolicy", quarterly())
			from.must(http.StatusOK, "POST", "/keys/"+name+"/rotate", nil)
			saved := from.must(http.StatusOK, "POST", "/keys/"+name+"/backup", nil)
			into := newSession(t, flavour, func(c *Config) { c.BackupKey = shared })
			restored := into.must(http.StatusOK, "POST", "/keys/restore", saved)
			ignoringOrder(t, name, from.must(http.StatusOK, "GET", "/keys/"+name, nil), restored)
			for _, path := range []string{"/versions", "/rotationpolicy"} {
				want, got := from.do("GET", "/keys/"+name+path, nil).Body.String(), into.do("GET", "/keys/"+name+path, nil).Body.String()
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%v %s%s: %s", flavour, name, path, diff)
				}
			}
			into.wantFault("POST", "/keys/restore", saved, http.StatusConflict, "", "There was a conflict restoring the key")
		}
	}
}

// ignoringOrder compares two bundles; a Managed HSM's key_ops have no order.
func ignoringOrder(t *testing.T, name string, want, got map[string]any) {
	t.Helper()
	sorted := cmp.Transformer("sorted", func(a []any) []string {
		texts := make([]string, len(a))
		for i := range a {
			texts[i], _ = a[i].(string)
		}
		slices.Sort(texts)
		return texts
	})
	if diff := cmp.Diff(want, got, sorted); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}

// TestRestoredKeyIsReleased: the policy and the material survive.
func TestRestoredKeyIsReleased(t *testing.T) {
	s := newSession(t, KeyVault, nil)
	kid := at(t, s.must(http.StatusOK, "POST", "/keys/k/create", exportableEC(goodPolicy)), "key", "kid")
	before := s.release("/keys/k/release", releaseBody(t))
	saved := s.must(http.StatusOK, "POST", "/keys/k/backup", nil)
	s.must(http.StatusOK, "DELETE", "/keys/k", nil)
	s.wantFault("POST", "/keys/restore", saved, http.StatusConflict, "", "conflict restoring")
	s.must(http.StatusNoContent, "DELETE", "/deletedkeys/k", nil)
	s.must(http.StatusOK, "POST", "/keys/restore", saved)
	after := s.release("/keys/k/release", releaseBody(t))
	if after.key.Kid != kid || !bytes.Equal(before.plaintext, after.plaintext) {
		t.Error("the restored key is another one")
	}
}

func TestRestoreRefused(t *testing.T) {
	s := newSession(t, KeyVault, nil)
	s.must(http.StatusOK, "POST", "/keys/k/create", map[string]any{"kty": "EC"})
	saved := at(t, s.must(http.StatusOK, "POST", "/keys/k/backup", nil), "value").(string)
	blob, err := decode64(saved)
	if err != nil || !bytes.HasPrefix(blob, []byte(backupPrefix)) || bytes.Contains(blob, []byte(`"Versions"`)) {
		t.Fatalf("backup %.60q, %v", blob, err)
	}
	s.must(http.StatusOK, "DELETE", "/keys/k", nil)
	s.must(http.StatusNoContent, "DELETE", "/deletedkeys/k", nil)
	hsm := newSession(t, ManagedHSM, nil)
	hsm.must(http.StatusOK, "POST", "/keys/k/create", map[string]any{"kty": "EC"})
	for name, value := range map[string]string{
		"empty":          "",
		"not base64":     "!",
		"changed":        encode64(append(bytes.Clone(blob[:len(blob)-2]), "AA"...)),
		"cut":            encode64(blob[:len(backupPrefix)]),
		"other service":  at(t, hsm.must(http.StatusOK, "POST", "/keys/k/backup", nil), "value").(string),
		"without prefix": encode64(bytes.TrimPrefix(blob, []byte(backupPrefix))),
	} {
		s.wantFault("POST", "/keys/restore", map[string]any{"value": value}, http.StatusBadRequest, "", "The backup cannot be restored")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	other := newSession(t, KeyVault, nil)
	other.wantFault("POST", "/keys/restore", map[string]any{"value": saved}, http.StatusBadRequest, "", "The backup cannot be restored")
	s.must(http.StatusOK, "POST", "/keys/restore", map[string]any{"value": saved})
	s.must(http.StatusNotFound, "POST", "/keys/none/backup", nil)
}
