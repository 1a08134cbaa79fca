package config

import (
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"skr/attest"
	"skr/hsm"
	"skr/internal/azure/cloud"
)

// ByAliases is the origin of an allow-list that is not set and comes from the aliases.
const ByAliases = "keys"

// narrow makes the vaults and authorities of the aliases the default of the allow-lists. An application
// that uses aliases needs no others, and otherwise any caller could have the pod's access token sent
// to a foreign vault. Assemble refuses wrong aliases.
func (s *Settings) narrow(all *pflag.FlagSet) error {
	var names Names
	var err error
	if names.Authorities, err = attest.ParseAuthorities(s.MAAAllow); err != nil {
		return nil //nolint:nilerr // Assemble refuses it
	}
	if names.Vaults, err = hsm.ParseVaults(s.VaultAllow); err != nil {
		return nil //nolint:nilerr // Assemble refuses it
	}
	aliases, err := names.All(s.Keys.Value)
	if err != nil || len(aliases) == 0 {
		return nil //nolint:nilerr // Assemble refuses it
	}
	var authorities, vaults []string
	for _, name := range slices.Sorted(maps.Keys(aliases)) {
		for _, way := range aliases[name].Ways {
			if !s.Keys.Value[name].InVault {
				authorities = append(authorities, way.Authority.Host().String())
			}
			for _, version := range aliases[name].Versions.List() {
				vaults = append(vaults, vaultEntry(way.Key.AtVersion(version)))
			}
		}
	}
	if err := setDefault(all.Lookup("maa-allow"), authorities); err != nil {
		return err
	}
	return setDefault(all.Lookup("vault-allow"), vaults)
}

// vaultEntry returns the entry that allows one key, with its current audience.
func vaultEntry(id hsm.KeyID) string {
	entry := id.Host().String() + "/keys/" + id.Name()
	if id.Version() != "" {
		entry += "/" + id.Version()
	}
	return entry + "=" + id.Audience()
}

// applyCloud makes the login service of the cloud the default of authority_host.
func (s *Settings) applyCloud(all *pflag.FlagSet) error {
	named, err := cloud.Parse(s.Cloud)
	if err != nil || named.Login() == "" || s.AuthorityHost != "" {
		return err
	}
	return set(all.Lookup("authority-host"), "cloud", named.Login())
}

func setDefault(flag *pflag.Flag, words []string) error {
	if flag.Changed || len(words) == 0 {
		return nil
	}
	slices.Sort(words)
	return set(flag, ByAliases, strings.Join(slices.Compact(words), ","))
}

// Unset returns the allow-lists that are not set. Their defaults allow all hosts of a cloud.
func (s *Settings) Unset() (names []string) {
	for _, name := range []string{"maa_allow", "vault_allow"} {
		if s.Origins[name] == "" {
			names = append(names, name)
		}
	}
	return names
}

// WarnOfClouds logs a warning for each allow-list that is not set.
func (s *Settings) WarnOfClouds(log *slog.Logger) {
	for _, name := range s.Unset() {
		log.Warn("this allow-list has its default, all hosts of Azure's clouds: any caller can have this pod's evidence or "+
			"access token sent to any of them; set it, or name the keys in the section keys", "setting", name)
	}
}
