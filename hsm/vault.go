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

// ParseVault parses the host of a vault and returns it with the audience of the first entry
// for that host, for whichever keys. It refuses as [Vaults.Parse] does.
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

// Vault returns the vault that has the key.
func (id KeyID) Vault() Vault { return Vault{id.host, id.audience} }

// Audience returns the resource that access tokens are requested for.
func (v Vault) Audience() string { return v.audience }

// String returns the host, with the port if it is not 443.
func (v Vault) String() string { return v.host.String() }

// Flavour returns the service of the audience: Managed HSM for https://managedhsm.azure.net
// and its equivalents in other clouds, and Key Vault for all others.
func (v Vault) Flavour() releasepolicy.Flavour {
	if strings.HasPrefix(v.audience, "https://managedhsm.") {
		return releasepolicy.ManagedHSM
	}
	return releasepolicy.KeyVault
}

// Key parses a key identifier that the vault wrote. It must be of this vault.
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

// Covers reports whether other is this key, in the same version if this key has one.
func (id KeyID) Covers(other KeyID) bool {
	return id.covers(keyLocation{other.host, other.name, other.version})
}
