package hsm

import (
	"errors"
	"fmt"
	"strings"

	"skr/internal/azure/endpoint"
	"skr/internal/refusal"
)

// Vaults is the allow-list of vaults and keys. Its zero value allows nothing.
type Vaults struct{ entries []vaultEntry }

// vaultEntry allows the hosts of a pattern: all of their keys, one key, or one version of
// it.
type vaultEntry struct {
	hosts         endpoint.Pattern
	name, version string
	audience      string
}

// DefaultVaults returns the entries for the vaults of the public cloud, China and
// US Government ("Azure Key Vault security", section "DNS suffixes for object
// identifiers", learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates).
func DefaultVaults() []string {
	return []string{
		"*.vault.azure.net", "*.managedhsm.azure.net",
		"*.vault.azure.cn", "*.managedhsm.azure.cn",
		"*.vault.usgovcloudapi.net", "*.managedhsm.usgovcloudapi.net",
	}
}

// ParseVaults parses entries of the form
//
//	host-pattern[/keys/name[/version]][=audience]
//
// The audience is the resource of access tokens for these hosts. By default it is the
// pattern's parent, such as https://vault.azure.net
// for *.vault.azure.net. It must be a parent domain of the hosts, the rule by
// which the Azure SDKs keep tokens from foreign hosts
// (aka.ms/azsdk/blog/vault-uri).
func ParseVaults(entries []string) (*Vaults, error) {
	vaults := &Vaults{}
	for _, text := range entries {
		entry, err := parseEntry(text)
		if err != nil {
			return nil, fmt.Errorf("allowed vault %q: %w", text, err)
		}
		vaults.entries = append(vaults.entries, entry)
	}
	return vaults, nil
}

func parseEntry(text string) (vaultEntry, error) {
	place, audience, hasAudience := strings.Cut(text, "=")
	hosts, kid, hasKey := strings.Cut(place, keysPath)
	pattern, err := endpoint.ParsePattern(hosts)
	if err != nil {
		return vaultEntry{}, err
	}
	entry := vaultEntry{hosts: pattern, audience: pattern.Parent().URL()}
	if hasKey {
		if entry.name, entry.version, err = parseKid(kid); err != nil {
			return vaultEntry{}, err
		}
	}
	if hasAudience {
		if entry.audience, err = parseAudience(audience); err != nil {
			return vaultEntry{}, err
		}
	}
	if !strings.HasSuffix(pattern.String(), "."+strings.TrimPrefix(entry.audience, "https://")) {
		return vaultEntry{}, fmt.Errorf("the audience %q is not a parent domain of the host", entry.audience)
	}
	return entry, nil
}

func parseAudience(text string) (string, error) {
	if !strings.HasPrefix(text, "https://") {
		return "", errors.New("the audience must begin with https://")
	}
	host, err := endpoint.ParseHost(text)
	if err != nil {
		return "", fmt.Errorf("audience: %w", err)
	}
	return host.URL(), nil
}

func (e vaultEntry) allowsKey(name, version string) bool {
	return (e.name == "" || sameName(e.name, name)) && (e.version == "" || e.version == version)
}

// Parse parses the vault and the key that a request names, each of which may end with a
// slash, and returns the key with the audience of the first entry that allows both. It
// refuses with [refusal.BadRequest] if they are not a host and a key name, and with
// [refusal.EndpointNotAllowed] if no entry allows them.
func (v *Vaults) Parse(vault, kid string) (KeyID, error) {
	kid, named := splitIdentifier(kid)
	host, err := endpoint.ParseHost(vault)
	if err != nil {
		return KeyID{}, refusal.Because(refusal.BadRequest,
			"akv_endpoint must be the host name of a vault or managed HSM, such as myvault.vault.azure.net", err)
	}
	name, version, err := parseKid(strings.TrimSuffix(kid, "/")) // as az and people write it
	if err != nil {
		return KeyID{}, refusal.Because(refusal.BadRequest,
			`kid must be the name of a key, or "name/version", where a version has 32 hexadecimal digits`, err)
	}
	if err := sameVault(host, named); err != nil {
		return KeyID{}, err
	}
	return v.find(host, name, version)
}

// sameVault compares the vault in a key's URL, or "" if kid was not a URL, with the vault
// that the request names. Only the latter decides where an access token is sent.
func sameVault(host endpoint.Host, named string) error {
	if named == "" {
		return nil
	}
	other, err := endpoint.ParseHost(named)
	if err != nil {
		return refusal.Because(refusal.BadRequest, `kid is a URL, and not one of a key; send the key's name, or "name/version"`, err)
	}
	if other != host {
		return refusal.Newf(refusal.BadRequest,
			`kid is a key of the vault %q, and akv_endpoint is %q; send the vault of the key, or the key's name alone`, other, host)
	}
	return nil
}

func (v *Vaults) find(host endpoint.Host, name, version string) (KeyID, error) {
	knownHost := false
	for _, entry := range v.entries {
		if !entry.hosts.Matches(host) {
			continue
		}
		if entry.allowsKey(name, version) {
			return KeyID{host, name, version, entry.audience}, nil
		}
		knownHost = true
	}
	if knownHost {
		return KeyID{}, refusal.Newf(refusal.EndpointNotAllowed,
			"vault_allow does not allow key %q, or not without its version, on %q", name, host)
	}
	return KeyID{}, v.refuse(host)
}

// refuse returns a refusal that lists what is allowed. For a bare name it shows a whole
// host: skr does not guess the cloud or service of a bare name.
func (v *Vaults) refuse(host endpoint.Host) error {
	if len(v.entries) == 0 {
		return refusal.Newf(refusal.EndpointNotAllowed, "vault_allow does not allow the vault %q; it is empty", host)
	}
	if host.IsBare() {
		return refusal.Newf(refusal.EndpointNotAllowed,
			"the vault %q is a name without its domain; give the whole host, such as %s; vault_allow allows %s", host, v.example(host), v)
	}
	return refusal.Newf(refusal.EndpointNotAllowed,
		"vault_allow does not allow the vault %q; it allows %s", host, v)
}

// example completes a bare name with the first wildcard entry.
func (v *Vaults) example(host endpoint.Host) string {
	for _, entry := range v.entries {
		if rest, wild := strings.CutPrefix(entry.hosts.String(), "*."); wild {
			return host.Name() + "." + rest
		}
	}
	return host.Name() + ".vault.azure.net"
}

// String lists the entries.
func (v *Vaults) String() string {
	texts := make([]string, len(v.entries))
	for i, entry := range v.entries {
		if texts[i] = entry.hosts.String(); entry.name != "" {
			texts[i] += keysPath + entry.name
		}
		if entry.version != "" {
			texts[i] += "/" + entry.version
		}
	}
	return strings.Join(texts, ", ")
}
