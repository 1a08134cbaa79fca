package vault

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestStatesTakeTime: a deletion, a recovery and a purge each take their time,
// during which the name can be used for nothing.
func TestStatesTakeTime(t *testing.T) {
	s := newSession(t, KeyVault, func(c *Config) { c.DeletionDelay = 5 * time.Second })
	now := epoch
	wait := func() { now = now.Add(5 * time.Second); s.clock.set(now) }
	create := map[string]any{"kty": "EC"}
	kid := at(t, s.must(http.StatusOK, "POST", "/keys/k/create", create), "key", "kid")
	saved := s.must(http.StatusOK, "POST", "/keys/k/backup", nil)

	s.must(http.StatusOK, "DELETE", "/keys/k", nil)
	s.must(http.StatusNotFound, "GET", "/keys/k", nil)
	s.wantFault("POST", "/keys/k/create", create, http.StatusConflict, "ObjectIsBeingDeleted", "Key k is currently being deleted")
	s.wantFault("POST", "/deletedkeys/k/recover", nil, http.StatusConflict, "ObjectIsBeingDeleted", "Key is currently being deleted.")
	s.wantFault("DELETE", "/deletedkeys/k", nil, http.StatusConflict, "ObjectIsBeingDeleted", "Key is currently being deleted.")
	wait()
	s.wantFault("POST", "/keys/k/create", create, http.StatusConflict, "ObjectIsDeletedButRecoverable", "deleted but recoverable")

	s.must(http.StatusOK, "POST", "/deletedkeys/k/recover", nil)
	s.must(http.StatusNotFound, "GET", "/keys/k", nil)
	s.must(http.StatusNotFound, "GET", "/deletedkeys/k", nil)
	if listed := at(t, s.must(http.StatusOK, "GET", "/keys", nil), "value").([]any); len(listed) != 0 {
		t.Errorf("a key is listed while it is recovered: %v", listed)
	}
	s.wantFault("PUT", "/keys/k/rotationpolicy", map[string]any{}, http.StatusNotFound, "", "was not found")
	s.wantFault("POST", "/keys/k/create", create, http.StatusConflict, "ObjectIsBeingRecovered", "Key k is currently being recovered")
	wait()
	if got := at(t, s.must(http.StatusOK, "GET", "/keys/k", nil), "key", "kid"); got != kid {
		t.Errorf("recovered %v, want %v", got, kid)
	}

	s.must(http.StatusOK, "DELETE", "/keys/k", nil)
	wait()
	s.must(http.StatusNoContent, "DELETE", "/deletedkeys/k", nil)
	s.must(http.StatusNotFound, "GET", "/deletedkeys/k", nil)
	s.wantFault("POST", "/keys/k/create", create, http.StatusConflict, "ObjectIsBeingDeleted", "being deleted")
	s.wantFault("POST", "/keys/restore", saved, http.StatusConflict, "", "There was a conflict restoring the key '"+kid.(string)+"'.")
	wait()
	s.must(http.StatusOK, "POST", "/keys/restore", saved)
}

func TestPurgeProtection(t *testing.T) {
	s := newSession(t, KeyVault, func(c *Config) { c.PurgeProtection, c.RecoverableDays = true, 90 })
	created := s.must(http.StatusOK, "POST", "/keys/k/create", map[string]any{"kty": "EC"})
	got := []any{at(t, created, "attributes", "recoveryLevel"), at(t, created, "attributes", "recoverableDays")}
	if diff := cmp.Diff([]any{"Recoverable", 90.0}, got); diff != "" {
		t.Error(diff)
	}
	deleted := s.must(http.StatusOK, "DELETE", "/keys/k", nil)
	if at(t, deleted, "scheduledPurgeDate") != float64(epoch.AddDate(0, 0, 90).Unix()) {
		t.Error(deleted)
	}
	s.wantFault("DELETE", "/deletedkeys/k", nil, http.StatusForbidden, "",
		`Operation "purge" is not allowed because purge protection is enabled for this vault. Key Vault service will automatically purge it`)
	s.must(http.StatusOK, "POST", "/deletedkeys/k/recover", nil)
	s.must(http.StatusOK, "DELETE", "/keys/k", nil)
	s.clock.set(epoch.AddDate(0, 0, 90))
	s.must(http.StatusNotFound, "GET", "/deletedkeys/k", nil)
	s.must(http.StatusOK, "POST", "/keys/k/create", map[string]any{"kty": "EC"})
}

func TestRecoveryLevels(t *testing.T) {
	for want, c := range map[string]Config{
		"CustomizedRecoverable+Purgeable": {},
		"CustomizedRecoverable":           {PurgeProtection: true, RecoverableDays: 30},
		"Recoverable+Purgeable":           {RecoverableDays: 90},
		"Recoverable":                     {PurgeProtection: true, RecoverableDays: 90},
	} {
		s := newSession(t, ManagedHSM, func(to *Config) { to.PurgeProtection, to.RecoverableDays = c.PurgeProtection, c.RecoverableDays })
		created := s.must(http.StatusOK, "POST", "/keys/k/create", map[string]any{"kty": "EC"})
		if got := at(t, created, "attributes", "recoveryLevel"); got != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
}
