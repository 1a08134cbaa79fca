package config

import (
	"strings"
	"testing"

	"skr/attest"
	"skr/hsm"
)

// TestInVault checks what an alias whose vault performs the operations must and must not have.
func TestInVault(t *testing.T) {
	for keys, want := range map[string]string{
		`{"hsm":{"vault":"a.vault.azure.net","key":"k","in_vault":true}}`:                              "",
		`{"hsm":{"vault":"a","key":"k/0123456789abcdef0123456789abcdef","in_vault":true}}`:             "",
		`{"hsm":{"vault":"a","key":"k","in_vault":true,"authority":"sharedeus.eus.attest.azure.net"}}`: "remove the authority",
		`{"hsm":{"vaults":["a","b"],"key":"k","in_vault":true}}`:                                       "needs one vault",
		`{"hsm":{"key":"k","in_vault":true}}`:                                                          "needs one vault",
		`{"hsm":{"vault":"a","key":"k","in_vault":true,"rsa1_5_bytes":32}}`:                            "remove rsa1_5_bytes",
		`{"hsm":{"vault":"a.vault.azure.net","key":"k"}}`:                                              "authority is missing",
	} {
		s, _, err := Load(nil, Environment{"SKR_KEYS": strings.ReplaceAll(keys, `"a"`, `"a.vault.azure.net"`)})
		if err != nil {
			t.Fatal(err)
		}
		var names Names
		if names.Authorities, err = attest.ParseAuthorities(s.MAAAllow); err != nil {
			t.Fatal(err)
		}
		if names.Vaults, err = hsm.ParseVaults(s.VaultAllow); err != nil {
			t.Fatal(err)
		}
		routes, err := names.All(s.Keys.Value)
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", keys, err, want)
			}
			continue
		}
		if err != nil || len(routes["hsm"].Ways) != 1 || routes["hsm"].Ways[0].Authority.String() != "" {
			t.Errorf("%s: %+v, %v", keys, routes, err)
		}
		if len(s.VaultAllow) != 1 || !strings.HasPrefix(s.VaultAllow[0], "a.vault.azure.net/keys/k") || s.Origins["maa_allow"] != "" {
			t.Errorf("%s: vault_allow %v, maa_allow from %q", keys, s.VaultAllow, s.Origins["maa_allow"])
		}
	}
}
