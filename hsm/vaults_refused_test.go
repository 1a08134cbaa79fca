package hsm

import (
	"errors"
	"strings"
	"testing"

	"skr/internal/refusal"
)

// If a vault is not allowed, the error lists the allowed vaults. For a bare name, the error
// says what is missing.
func TestRefusedVaults(t *testing.T) {
	for _, c := range []struct{ entries, vault, want string }{
		{"*.vault.azure.cn,mine.vault.azure.net/keys/k/1", "evil.example",
			`does not allow the vault "evil.example"; it allows *.vault.azure.cn, mine.vault.azure.net/keys/k/1`},
		{"*.vault.azure.cn", "mine", `the vault "mine" is a name without its domain; give the whole host, such as mine.vault.azure.cn;`},
		{"a.vault.azure.net", "mine", "such as mine.vault.azure.net; vault_allow allows a.vault.azure.net"},
		{"", "mine.vault.azure.net", "it is empty"},
	} {
		var entries []string
		if c.entries != "" {
			entries = strings.Split(c.entries, ",")
		}
		vaults, err := ParseVaults(entries)
		if err != nil {
			t.Fatal(err)
		}
		_, byKey := vaults.Parse(c.vault, "k")
		_, byVault := vaults.ParseVault(c.vault)
		for _, err := range []error{byKey, byVault} {
			if !errors.Is(err, refusal.EndpointNotAllowed) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q of %q: got %v, want %q", c.vault, c.entries, err, c.want)
			}
		}
	}
}
