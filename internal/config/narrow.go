package config

import (
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"skr/attest"
	"skr/hsm"
)

// ByAliases is what sets an allow-list that nobody has set.
const ByAliases = "keys"

// narrow makes what the aliases name the default of the allow-lists: an application
// that asks by alias needs no other vault, and whoever can ask could otherwise have
// the pod's access token sent to a vault of his own. An alias that is wrong is for
// assemble to refuse.
func (s *Settings) narrow(all *pflag.FlagSet) error {
	var names Names
	var err error
	if names.Authorities, err = attest.ParseAuthorities(s.MAAAllow); err != nil {
		return nil //nolint:nilerr // assemble refuses it, too
	}
	if names.Vaults, err = hsm.ParseVaults(s.VaultAllow); err != nil {
		return nil //nolint:nilerr // assemble refuses it, too
	}
	aliases, err := names.All(s.Keys.Value)
	if err != nil || len(aliases) == 0 {
		return nil //nolint:nilerr // assemble refuses it, too
	}
	var authorities, vaults []string
	for _, name := range slices.Sorted(maps.Keys(aliases)) {
		for _, way := range aliases[name] {
			authorities = append(authorities, way.Authority.Host().String())
			vaults = append(vaults, vaultEntry(way.Key))
		}
	}
	if err := setDefault(all.Lookup("maa-allow"), authorities); err != nil {
		return err
	}
	return setDefault(all.Lookup("vault-allow"), vaults)
}

// vaultEntry allows one key, with the audience that it has now.
func vaultEntry(id hsm.KeyID) string {
	entry := id.Host().String() + "/keys/" + id.Name()
	if id.Version() != "" {
		entry += "/" + id.Version()
	}
	return entry + "=" + id.Audience()
}

func setDefault(flag *pflag.Flag, words []string) error {
	if flag.Changed {
		return nil
	}
	slices.Sort(words)
	return set(flag, ByAliases, strings.Join(slices.Compact(words), ","))
}

// Unset are the allow-lists that nobody has set: they let in whole clouds.
func (s *Settings) Unset() (names []string) {
	for _, name := range []string{"maa_allow", "vault_allow"} {
		if s.Origins[name] == "" {
			names = append(names, name)
		}
	}
	return names
}

func (s *Settings) WarnOfClouds(log *slog.Logger) {
	for _, name := range s.Unset() {
		log.Warn("this allow-list has its default, which is every host of Azure's clouds: any caller can have this pod's "+
			"evidence or access token sent to a stranger's; set it, or name the keys in the section keys", "setting", name)
	}
}
