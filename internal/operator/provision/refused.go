package provision

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"skr/hsm"
	"skr/internal/refusal"
	"skr/releasepolicy"
)

// verb is an operation on keys, with the built-in roles that allow it
// (learn.microsoft.com/azure/key-vault/general/rbac-guide and
// …/managed-hsm/built-in-roles: the officer of a Managed HSM may not make keys).
type verb struct {
	name               string // in "to … keys"
	vaultRole, hsmRole string
}

var (
	creating  = verb{"create", "Key Vault Crypto Officer", "Managed HSM Crypto User"}
	importing = verb{"import", "Key Vault Crypto Officer", "Managed HSM Crypto User"}
	updating  = verb{"update", "Key Vault Crypto Officer", "Managed HSM Crypto User"}
	reading   = verb{"get", "Key Vault Crypto User or Key Vault Reader", "Managed HSM Crypto User or Managed HSM Crypto Auditor"}
	listing   = verb{"list", "Key Vault Crypto User or Key Vault Reader", "Managed HSM Crypto User or Managed HSM Crypto Auditor"}

	rotating  = verb{"rotate", "Key Vault Crypto Officer", "Managed HSM Crypto User"}
	deleting  = verb{"delete", "Key Vault Crypto Officer", "Managed HSM Crypto User"}
	backingUp = verb{"back up", "Key Vault Crypto Officer or Key Vault Crypto User", "Managed HSM Crypto User or Managed HSM Backup"}
	restoring = verb{"restore", "Key Vault Crypto Officer", "Managed HSM Crypto User or Managed HSM Restore"}

	// The next three are operations on deleted keys.
	finding    = verb{"get deleted", "Key Vault Crypto Officer or Key Vault Reader", "Managed HSM Crypto User or Managed HSM Crypto Officer"}
	recovering = verb{"recover deleted", "Key Vault Crypto Officer", "Managed HSM Crypto Officer"}
	purging    = verb{"purge deleted", "Key Vault Crypto Officer", "Managed HSM Crypto Officer"}
)

// verbs are all of them, in the order of the table of roles in docs/keys.md.
var verbs = []verb{creating, importing, rotating, updating, reading, listing, deleting, finding, recovering, purging, backingUp, restoring}

// ofDeleted reports whether the operation is on a deleted key.
func (v verb) ofDeleted() bool { return v == finding || v == recovering || v == purging }

// action is a verb on a key, or on all keys if its name is "".
type action struct {
	verb
	key    string
	advice string // about its version
}

func (v verb) role(f releasepolicy.Flavour) string {
	if f == releasepolicy.ManagedHSM {
		return v.hsmRole
	}
	return v.vaultRole
}

// refused turns an error of the SDK into a refusal with one sentence.
func (v *Vault) refused(a action, err error) error {
	said, ok := hsm.ReadVaultError(err, v.access)
	switch {
	case ok && a.verb == importing:
		said = said.Scrubbed()
	case ok:
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	default:
		return unusable(err)
	}
	if said.Status() == http.StatusNotFound {
		return refusal.Because(refusal.KeyNotFound, v.missing(a), said)
	}
	if said.Status() < 400 || said.Status() >= 500 {
		return unusable(said)
	}
	return refusal.Because(refusal.ManagementRejected, v.hint(a, said), said)
}

func (v *Vault) missing(a action) string {
	if a.ofDeleted() {
		return fmt.Sprintf("%s has no deleted key %q; skrctl key list --deleted shows what can be recovered", v.vault, a.key)
	}
	return fmt.Sprintf("%s has no key %q, or not in this version; skrctl key list shows what it has%s", v.vault, a.key, a.advice)
}

func (v *Vault) hint(a action, said hsm.VaultError) string {
	for _, h := range hints {
		if said.Says(h.inner, h.message) {
			return h.hint
		}
	}
	role := a.role(v.vault.Flavour())
	switch {
	case said.Says("ForbiddenByRbac", "is not authorized to perform action"):
		return fmt.Sprintf("this identity may not %s keys in %s; give it the role %s, and wait for it to take effect", a.name, v.vault, role)
	case said.Says("", "permission on key vault"):
		return fmt.Sprintf("this identity may not %s keys in %s; add %s to its key permissions in the vault's access policy", a.name, v.vault, a.name)
	}
	switch said.Status() {
	case http.StatusUnauthorized:
		return fmt.Sprintf("%s does not accept the access token; it must be for the audience %s, in the vault's tenant and not expired",
			v.vault, v.vault.Audience())
	case http.StatusForbidden:
		return fmt.Sprintf("%s does not allow this; the identity needs the role %s", v.vault, role)
	case http.StatusConflict:
		return fmt.Sprintf("%s says that the key is being changed or was deleted; look with skrctl key list --deleted", v.vault)
	}
	return fmt.Sprintf("%s calls the request invalid%s", v.vault, a.advice)
}

// hints recognise refusals as hsm.vaultHints does. Codes and texts are from recorded traffic and
// public reports. Managed HSM leaves out "AKV.SKR.n".
var hints = []struct{ inner, message, hint string }{
	{"ObjectIsDeletedButRecoverable", "deleted but recoverable",
		"a deleted key of this name can still be recovered, which keeps the name taken: recover it with skrctl key recover, purge it, or choose another name"},
	{"ObjectIsBeingDeleted", "currently being deleted", "the vault is still deleting a key of this name; try again in a few seconds"},
	{"ObjectIsBeingRecovered", "currently being recovered", "the vault is still recovering this key; try again in a few seconds"},
	{"", "there was a conflict restoring",
		"the name is in use: a key of this name exists, is deleted and can be recovered, or was purged a few seconds ago"},
	{"", "purge protection is enabled",
		"this vault has purge protection: a deleted key stays until the time that skrctl key list --deleted shows, and skrctl key recover brings it back"},
	{"", "the specified attestation service",
		"the vault cannot reach the authority that the release policy names; check its name, and that it is an attestation provider that exists"},
	{"", "immutable key release policy",
		"the release policy of this key is immutable, so no version of it can have another one; choose another name"},
	{"", "on standard vault",
		"this vault is of the standard tier, which has no keys in hardware; use a premium vault or a managed HSM"},
	{"", "only supported with premium vaults",
		"this vault is of the standard tier, which releases no keys; use a premium vault or a managed HSM"},
	{"ForbiddenByFirewall", "client address is not authorized",
		"the vault's firewall does not let this address in; allow it, or use a private endpoint"},
	{"ForbiddenByConnection", "public network access is disabled",
		"the vault is closed to the public network; use its private endpoint"},
}
