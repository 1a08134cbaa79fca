package cloud

import (
	"strings"
	"testing"

	"skr/internal/azure/entra"
)

// The default allow-lists, and that of an emulator.
var (
	everywhere = []string{"*.vault.azure.net", "*.managedhsm.azure.net", "*.vault.azure.cn", "*.managedhsm.azure.cn",
		"*.vault.usgovcloudapi.net", "*.managedhsm.usgovcloudapi.net", "*.attest.azure.net", "*.attest.azure.us", "*.attest.azure.cn"}
	local = []string{"*.vault.localhost:8443=https://vault.localhost:8443", "*.managedhsm.localhost:8443", "*.attest.localhost:8443"}
)

func TestNames(t *testing.T) {
	for _, c := range []struct {
		cloud, text string
		allowed     []string
		want        string
	}{
		{"public", "contoso", everywhere, "contoso.vault.azure.net"},
		{"public", "contoso.managedhsm", everywhere, "contoso.managedhsm.azure.net"},
		{"public", "contoso.vault", everywhere, "contoso.vault.azure.net"},
		{"usgovernment", "contoso", everywhere, "contoso.vault.usgovcloudapi.net"},
		{"china", "contoso.managedhsm", everywhere, "contoso.managedhsm.azure.cn"},
		{"public", "contoso", local, "contoso.vault.localhost:8443"},
		{"china", "contoso.managedhsm", local, "contoso.managedhsm.localhost:8443"},
		{"public", "contoso", []string{"contoso.vault.azure.net"}, "contoso"},
		{"public", "contoso", []string{"*.vault.azure.net/keys/k"}, "contoso"},
		{"public", "contoso", []string{"*.vault.azure.cn", "*.vault.usgovcloudapi.net"}, "contoso"},
		{"public", "contoso.vault.azure.net", everywhere, "contoso.vault.azure.net"},
		{"public", "contoso.example", everywhere, "contoso.example"},
		{"public", "https://contoso", everywhere, "https://contoso"},
		{"public", "", everywhere, ""},
		{"public", "sharedeus", everywhere, "authority sharedeus.eus.attest.azure.net"},
		{"public", "sharedeus2", everywhere, "authority sharedeus2.eus2.attest.azure.net"},
		{"usgovernment", "sharedugv", everywhere, "authority sharedugv.ugv.attest.azure.us"},
		{"public", "sharedeus", local, "authority sharedeus.eus.attest.localhost:8443"},
		{"public", "mine", everywhere, "authority mine"},
		{"public", "shared", everywhere, "authority shared"},
		{"public", "sharedeus.eus.attest.azure.net", everywhere, "authority sharedeus.eus.attest.azure.net"},
	} {
		named, err := Parse(c.cloud)
		if err != nil {
			t.Fatal(err)
		}
		got := named.Vault(c.text, c.allowed)
		if strings.HasPrefix(c.want, "authority ") {
			got = "authority " + named.Authority(c.text, c.allowed)
		}
		if got != c.want {
			t.Errorf("%s in %s: %q, want %q", c.text, c.cloud, got, c.want)
		}
	}
}

func TestLogins(t *testing.T) {
	for _, name := range Names() {
		c, err := Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		login, err := entra.ParseAuthority(c.Login())
		if err != nil || !entra.KnownLogin(login.Hostname()) {
			t.Errorf("%s: %q is not a login of Microsoft: %v", name, c.Login(), err)
		}
	}
	if _, err := Parse("azure"); err == nil || !strings.Contains(err.Error(), "public, usgovernment, china") {
		t.Errorf("error %v", err)
	}
	if (Cloud{}).Vault("a", everywhere) != "a.vault.azure.net" || (Cloud{}).Login() != "" {
		t.Error("the zero cloud is not the public one")
	}
}
