package hsm

import (
	"fmt"
	"strings"

	"skr/internal/azure/endpoint"
	"skr/internal/refusal"
	"skr/releasepolicy"
)

// Vault is a Key Vault or Managed HSM that the operator allows, with the
// audience of its access tokens. It is comparable.
type Vault struct {
	host     endpoint.Host
	audience string
}

// ParseVault takes the vault that a person names, and picks the first entry for
// its host, whichever keys that is for. It refuses as [Vaults.Parse] does.
func (v *Vaults) ParseVault(text string) (Vault, error) {
	host, err := endpoint.ParseHost(text)
	if err != nil {
		return Vault{}, refusal.Because(refusal.BadRequest,
			"a vault is the host name of a Key Vault or managed HSM, such as myvault.vault.azure.net", err)
	}
	for _, entry := range v.entries {
		if entry.hosts.Matches(host) {
			return Vault{host, entry.audience}, nil
		}
	}
	return Vault{}, v.refuse(host)
}

// Vault is where the key is.
func (id KeyID) Vault() Vault { return Vault{id.host, id.audience} }

// Audience is the resource to ask an access token for.
func (v Vault) Audience() string { return v.audience }

// String is the host, with the port where it is not 443.
func (v Vault) String() string { return v.host.String() }

// Flavour is the service that the audience belongs to: https://managedhsm.azure.net
// and its like in other clouds are Managed HSM's, all others Key Vault's.
func (v Vault) Flavour() releasepolicy.Flavour {
	if strings.HasPrefix(v.audience, "https://managedhsm.") {
		return releasepolicy.ManagedHSM
	}
	return releasepolicy.KeyVault
}

// Key reads a key identifier that the vault wrote, which must be of this vault.
func (v Vault) Key(identifier string) (KeyID, error) {
	at, err := parseLocation(identifier)
	if err != nil {
		return KeyID{}, err
	}
	if at.host != v.host {
		return KeyID{}, fmt.Errorf("%q is not in the vault %q", at, v)
	}
	return KeyID{at.host, at.name, at.version, v.audience}, nil
}

// Covers says whether other is this key, in this version if it has one.
func (id KeyID) Covers(other KeyID) bool {
	return id.covers(keyLocation{other.host, other.name, other.version})
}
