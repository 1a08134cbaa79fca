package sidecar

import (
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"skr/internal/config"
)

const narrowKeys = `{"a":{"vault":"https://a.vault.azure.net/","key":"k","authority":"sharedeus.eus.attest.azure.net"},` +
	`"b":{"vaults":["b.region.managedhsm.azure.net","b.vault.azure.cn"],"key":"k/0123",` +
	`"authorities":["sharedeus.eus.attest.azure.net","mine.wus.attest.azure.net"]}}`

// With aliases, the allow-lists default to the vaults and authorities that the aliases name.
func TestAllowListsOfAliases(t *testing.T) {
	authorities := []string{"mine.wus.attest.azure.net", "sharedeus.eus.attest.azure.net"}
	vaults := []string{
		"a.vault.azure.net/keys/k=https://vault.azure.net",
		"b.region.managedhsm.azure.net/keys/k/0123=https://managedhsm.azure.net",
		"b.vault.azure.cn/keys/k/0123=https://vault.azure.cn",
	}
	for name, c := range map[string]struct {
		env        config.Environment
		maa, vault []string
		unset      []string
	}{
		"aliases": {config.Environment{"SKR_KEYS": narrowKeys}, authorities, vaults, nil},
		"versions": {config.Environment{"SKR_KEYS": `{"a":{"vault":"a.vault.azure.net","key":"k","authority":"a.attest.azure.net","versions":["89ab","0123"]},` +
			`"b":{"vault":"a.vault.azure.net","key":"l","authority":"a.attest.azure.net","versions":"all"}}`},
			[]string{"a.attest.azure.net"}, []string{"a.vault.azure.net/keys/k/0123=https://vault.azure.net",
				"a.vault.azure.net/keys/k/89ab=https://vault.azure.net", "a.vault.azure.net/keys/l=https://vault.azure.net"}, nil},
		"aliases and a list": {config.Environment{"SKR_KEYS": narrowKeys, "SKR_VAULT_ALLOW": "*.azure.net=https://azure.net,b.vault.azure.cn"},
			authorities, []string{"*.azure.net=https://azure.net", "b.vault.azure.cn"}, nil},
		"neither":             {config.Environment{}, nil, nil, []string{"maa_allow", "vault_allow"}},
		"aliases set to none": {config.Environment{"SKR_KEYS": config.None}, nil, nil, []string{"maa_allow", "vault_allow"}},
		"one list":            {config.Environment{"SKR_VAULT_ALLOW": "a.vault.azure.net"}, nil, []string{"a.vault.azure.net"}, []string{"maa_allow"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, all, err := config.Load(nil, c.env)
			if err != nil {
				t.Fatal(err)
			}
			if c.maa != nil && !cmp.Equal(c.maa, []string(s.MAAAllow)) || c.vault != nil && !cmp.Equal(c.vault, []string(s.VaultAllow)) {
				t.Errorf("maa_allow is %q, vault_allow %q", s.MAAAllow, s.VaultAllow)
			}
			if !cmp.Equal(c.unset, s.Unset()) {
				t.Errorf("unset are %q, want %q", s.Unset(), c.unset)
			}
			if _, err := Assemble(s, nil, slog.New(slog.DiscardHandler)); err != nil {
				t.Error(err)
			}
			printed, err := yaml.Marshal(config.FieldsOf(all))
			if err != nil {
				t.Fatal(err)
			}
			again, _, err := config.Load(nil, config.Environment{"SKR_CONFIG": fileWith(t, string(printed))})
			if err != nil || !cmp.Equal(s.MAAAllow, again.MAAAllow) || !cmp.Equal(s.VaultAllow, again.VaultAllow) {
				t.Errorf("printed and read again: maa_allow is %q, vault_allow %q, error %v", again.MAAAllow, again.VaultAllow, err)
			}
		})
	}
}
