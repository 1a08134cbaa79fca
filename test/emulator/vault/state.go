package vault

import (
	"maps"
	"net/http"
	"time"
)

// recoveryLevel returns the deletion recovery level as the Azure REST API
// specification names it (DeletionRecoveryLevel).
func (v *Vault) recoveryLevel() string {
	level := "CustomizedRecoverable"
	if v.config.RecoverableDays == 90 {
		level = "Recoverable"
	}
	if v.config.PurgeProtection {
		return level
	}
	return level + "+Purgeable"
}

// settled reports whether a change of state that began then is complete: see
// Config.DeletionDelay. In the recordings, a Managed HSM's changes are complete
// at once.
func (v *Vault) settled(began time.Time) bool {
	return v.managedHSM() || !v.config.Now().Before(began.Add(v.config.DeletionDelay))
}

func (v *Vault) purgeAt(k *key) int64 {
	return time.Unix(k.deletedAt, 0).Add(time.Duration(v.config.RecoverableDays) * 24 * time.Hour).Unix()
}

// purgeExpired removes the deleted keys whose time is over. It requires the
// lock.
func (v *Vault) purgeExpired() {
	maps.DeleteFunc(v.deleted, func(_ string, k *key) bool { return v.purgeAt(k) <= v.now() })
	maps.DeleteFunc(v.purged, func(_ string, began time.Time) bool { return v.settled(began) })
}

// nameUsable returns the fault of a new version under a name whose key is
// deleted or changes its state. The texts of the states in between are those
// that the Azure SDKs recorded for keys and secrets. It requires the lock.
func (v *Vault) nameUsable(name string) error {
	v.purgeExpired()
	present, deleted := v.keys[mapKey(name)], v.deleted[mapKey(name)]
	_, purging := v.purged[mapKey(name)]
	switch {
	case purging, deleted != nil && !v.settled(deleted.changedAt):
		return conflict("ObjectIsBeingDeleted", "Key %s is currently being deleted and cannot be re-created; retry later.", name)
	case deleted != nil:
		return conflict("ObjectIsDeletedButRecoverable", "Key %s is currently in a deleted but recoverable state, and its name cannot be reused; "+
			"in this state, the key can only be recovered or purged.", name)
	case present != nil && !v.settled(present.changedAt):
		return conflict("ObjectIsBeingRecovered", "Key %s is currently being recovered and cannot be re-created; retry later.", name)
	}
	return nil
}

func (v *Vault) delete(c *call) (answer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	k, _, err := v.find(c.name, "")
	if err != nil {
		return answer{}, err
	}
	k.deletedAt, k.changedAt = v.now(), v.config.Now()
	delete(v.keys, mapKey(c.name))
	v.deleted[mapKey(c.name)] = k
	return ok(v.deletedBundle(k))
}

// findDeleted requires the lock.
func (v *Vault) findDeleted(name string) (*key, error) {
	v.purgeExpired()
	k := v.deleted[mapKey(name)]
	if k == nil || !v.settled(k.changedAt) {
		return nil, faultDeletedNotFound(name)
	}
	return k, nil
}

// changeDeleted is findDeleted for changes: Azure refuses them until the
// deletion is complete (recorded for purge by the Azure SDK for JavaScript).
func (v *Vault) changeDeleted(name string) (*key, error) {
	if k := v.deleted[mapKey(name)]; k != nil && !v.settled(k.changedAt) {
		return nil, conflict("ObjectIsBeingDeleted", "Key is currently being deleted.")
	}
	return v.findDeleted(name)
}

func (v *Vault) getDeleted(c *call) (answer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	k, err := v.findDeleted(c.name)
	if err != nil {
		return answer{}, err
	}
	return ok(v.deletedBundle(k))
}

func (v *Vault) purge(c *call) (answer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, err := v.changeDeleted(c.name); err != nil {
		return answer{}, err
	}
	if v.config.PurgeProtection {
		return answer{}, v.faultProtected()
	}
	delete(v.deleted, mapKey(c.name))
	v.purged[mapKey(c.name)] = v.config.Now()
	return answer{status: http.StatusNoContent}, nil
}

func (v *Vault) recover(c *call) (answer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	k, err := v.changeDeleted(c.name)
	if err != nil {
		return answer{}, err
	}
	k.deletedAt, k.changedAt = 0, v.config.Now()
	delete(v.deleted, mapKey(c.name))
	v.keys[mapKey(c.name)] = k
	return ok(v.bundle(k, k.current()))
}
