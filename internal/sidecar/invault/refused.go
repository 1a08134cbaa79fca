package invault

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"skr/hsm"
	"skr/internal/keyuse"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/releasepolicy"
)

// action is what a vault was asked for, by the name of the permission
// (learn.microsoft.com/azure/key-vault/keys/about-keys-details, "Key access control").
type action struct {
	permission string // "get", "sign", "unwrapKey"
	opens      bool   // a wrong value is refused with 400
}

var reading = action{permission: "get"}

func operating(op keyuse.Operation) action {
	return action{string(op), op == keyuse.Decrypt || op == keyuse.UnwrapKey}
}

// refused returns the refusal for an error of the SDK.
func refused(id hsm.KeyID, a action, access secmem.Text, err error) error {
	said, answered := hsm.ReadVaultError(err, access)
	switch {
	case answered:
		said = said.Scrubbed() // a vault may repeat what it was sent
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	default:
		return refusal.Because(refusal.Untrusted, "the vault's answer cannot be read; check which server answers there", err)
	}
	switch status := said.Status(); {
	case status == http.StatusNotFound:
		return refusal.Because(refusal.KeyNotFound, fmt.Sprintf(
			"the vault has no key %q, or not in this version; check the name, and that it was not deleted%s", id, id.Advice()), said)
	case status == http.StatusBadRequest && a.opens:
		return refusal.Because(refusal.BadRequest,
			"the vault does not open the value with this key; it was made for another key, version or algorithm, or was altered", said)
	case status == http.StatusBadRequest:
		return refusal.Because(refusal.BadRequest,
			"the vault calls the operation invalid for this key; check the algorithm, and read the vault's words in the log", said)
	case status > 400 && status < 500:
		return refusal.Because(refusal.OperationRejected, hint(id, a, said), said)
	}
	return refusal.Because(refusal.Untrusted, "the vault answered with a status that an operation does not have; check which server answers there", said)
}

// hint returns in one sentence what to do. It has none of the vault's own text.
func hint(id hsm.KeyID, a action, said hsm.VaultError) string {
	for _, h := range hints {
		if said.Says(h.inner, h.message) {
			return h.hint
		}
	}
	switch {
	case said.Says("KeyOperationForbidden", "is not permitted on this key"):
		return fmt.Sprintf("the key_ops of the key do not list %s; a key's operations are set in the vault", a.permission)
	case said.Status() == http.StatusUnauthorized:
		return fmt.Sprintf("the vault does not accept the access token; check that it is for the audience %s, in the vault's tenant and not expired", id.Audience())
	}
	role := "Key Vault Crypto User"
	if id.Vault().Flavour() == releasepolicy.ManagedHSM {
		role = "Managed HSM Crypto User"
	}
	return fmt.Sprintf("the vault does not let this pod's identity use the key; give it the permission keys/%s, or the role %s", a.permission, role)
}

// hints recognise refusals as those of package hsm do.
var hints = []struct{ inner, message, hint string }{
	{"ForbiddenByFirewall", "client address is not authorized",
		"the vault's firewall does not let this address in; allow it, or use a private endpoint"},
	{"ForbiddenByConnection", "public network access is disabled",
		"the vault is closed to the public network; use its private endpoint"},
	{"KeyDisabled", "disabled key", "the key is disabled; enable it, or name another version"},
	{"KeyNotYetValid", "not yet valid", "the key is not valid yet; wait until then, or make a new version with `skrctl key rotate`"},
	{"KeyExpired", "expired", "the key has expired; make a new version with `skrctl key rotate`"},
}
