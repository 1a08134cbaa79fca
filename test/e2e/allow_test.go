package e2e

import (
	"fmt"
	"strings"
	"testing"

	"skr/test/emulator"
	"skr/test/program"
)

// Without lists and aliases, skr allows whole clouds. The start and the doctor report
// that. With aliases, skr allows only what they name.
func TestDefaultAllowLists(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	env := program.Unassigned(append(cloud.Environment(cloud.Machine()), "SKR_MAA_ALLOW=", "SKR_VAULT_ALLOW="))
	alias := `SKR_KEYS={"orders":{"vault":"contoso.vault.azure.net","key":"orders","authority":"sharedeus.eus.attest.azure.net"}}`
	for name, c := range map[string]struct {
		more   []string
		warned []string
	}{
		"drop-in":    {nil, []string{"maa_allow", "vault_allow"}},
		"one list":   {[]string{"SKR_VAULT_ALLOW=contoso.vault.azure.net"}, []string{"maa_allow"}},
		"both lists": {[]string{"SKR_VAULT_ALLOW=contoso.vault.azure.net", "SKR_MAA_ALLOW=*.eus.attest.azure.net"}, nil},
		"aliases":    {[]string{alias}, nil},
	} {
		s := start(t, append(env, c.more...)).ready(t)
		for _, setting := range []string{"maa_allow", "vault_allow"} {
			warned := strings.Contains(s.log.String(), fmt.Sprintf(`"setting":%q`, setting))
			if want := strings.Contains(strings.Join(c.warned, " "), setting); warned != want {
				t.Errorf("%s: warned about %s: %t, want %t", name, setting, warned, want)
			}
		}
		if name == "aliases" {
			continue // the doctor would connect to Azure
		}
		stdout, _, _ := once(t, append(env, c.more...), "", "doctor")
		want := "ok allow-lists "
		if c.warned != nil {
			want = "warning allow-lists " + strings.Join(c.warned, ", ") + ": not set"
		}
		if !strings.Contains(strings.Join(strings.Fields(stdout), " "), want) {
			t.Errorf("%s: the doctor does not print %q:\n%s", name, want, stdout)
		}
	}
	for vault, want := range map[string]string{
		"stranger.vault.azure.net": "vault_allow does not allow the vault", "contoso.vault.azure.net": `vault_allow does not allow key "bills"`,
	} {
		_, stderr, code := once(t, append(env, alias), "", "release", "--authority", "sharedeus.eus.attest.azure.net", "--vault", vault, "--key", "bills")
		if code != 3 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, %s", vault, code, stderr)
		}
	}
	_, stderr, code := once(t, append(env, alias), "", "release",
		"--authority", "mine.eus.attest.azure.net", "--vault", "contoso.vault.azure.net", "--key", "orders")
	if code != 3 || !strings.Contains(stderr, "maa_allow") {
		t.Errorf("an authority of no alias: exit %d, %s", code, stderr)
	}
}
