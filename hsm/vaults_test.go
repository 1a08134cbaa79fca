package hsm

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"skr/internal/refusal"
)

func TestVaultsParse(t *testing.T) {
	const version = keyVersion
	for _, c := range []struct {
		entries    []string
		vault, kid string
		id, aud    string
		kind       *refusal.Kind
	}{
		{DefaultVaults(), "v.vault.azure.net", "k", "https://v.vault.azure.net/keys/k", "https://vault.azure.net", nil},
		{DefaultVaults(), "https://v.vault.azure.net/", "k/" + version, "https://v.vault.azure.net/keys/k/" + version, "https://vault.azure.net", nil},
		{DefaultVaults(), "h.managedhsm.azure.net:443", "K-1", "https://h.managedhsm.azure.net/keys/K-1", "https://managedhsm.azure.net", nil},
		{DefaultVaults(), "v.vault.azure.cn", "k", "https://v.vault.azure.cn/keys/k", "https://vault.azure.cn", nil},
		{DefaultVaults(), "v.managedhsm.usgovcloudapi.net", "k", "https://v.managedhsm.usgovcloudapi.net/keys/k", "https://managedhsm.usgovcloudapi.net", nil},
		{DefaultVaults(), "managedhsm.vault.azure.net", "k", "https://managedhsm.vault.azure.net/keys/k", "https://vault.azure.net", nil},
		{[]string{"*.vault.localhost:8443"}, "demo.vault.localhost:8443", "k", "https://demo.vault.localhost:8443/keys/k", "https://vault.localhost:8443", nil},
		{[]string{"v.vault.azure.net"}, "v.vault.azure.net", "k", "https://v.vault.azure.net/keys/k", "https://vault.azure.net", nil},
		{[]string{"*.eu.vault.azure.net=https://vault.azure.net/"}, "v.eu.vault.azure.net", "k", "https://v.eu.vault.azure.net/keys/k",
			"https://vault.azure.net", nil},
		{DefaultVaults(), "v.vault.azure.net/", "k/", "https://v.vault.azure.net/keys/k", "https://vault.azure.net", nil},
		{DefaultVaults(), "V.vault.azure.net:443", "k/" + version + "/", "https://v.vault.azure.net/keys/k/" + version, "https://vault.azure.net", nil},
		{[]string{"v.vault.azure.net/keys/k"}, "v.vault.azure.net", "k/" + version, "https://v.vault.azure.net/keys/k/" + version, "https://vault.azure.net", nil},
		{[]string{"v.vault.azure.net/keys/k"}, "v.vault.azure.net", "K", "https://v.vault.azure.net/keys/K", "https://vault.azure.net", nil},
		{[]string{"v.vault.azure.net/keys/k/" + version + "=https://azure.net"}, "v.vault.azure.net", "k/" + version,
			"https://v.vault.azure.net/keys/k/" + version, "https://azure.net", nil},
		{[]string{"v.vault.azure.net/keys/a", "*.vault.azure.net/keys/b"}, "v.vault.azure.net", "b", "https://v.vault.azure.net/keys/b",
			"https://vault.azure.net", nil},

		{DefaultVaults(), "vault.azure.net", "k", "", "", refusal.EndpointNotAllowed},
		{DefaultVaults(), "evil.example", "k", "", "", refusal.EndpointNotAllowed},
		{DefaultVaults(), "managedhsm.azure.net.evil.example", "k", "", "", refusal.EndpointNotAllowed},
		{DefaultVaults(), "v.vault.azure.net:8443", "k", "", "", refusal.EndpointNotAllowed},
		{nil, "v.vault.azure.net", "k", "", "", refusal.EndpointNotAllowed},
		{[]string{"v.vault.azure.net/keys/k"}, "v.vault.azure.net", "other", "", "", refusal.EndpointNotAllowed},
		{[]string{"v.vault.azure.net/keys/k/" + version}, "v.vault.azure.net", "k", "", "", refusal.EndpointNotAllowed},
		{[]string{"v.vault.azure.net/keys/k/" + version}, "v.vault.azure.net", "k/" + strings.Repeat("0", 32), "", "", refusal.EndpointNotAllowed},

		{DefaultVaults(), "", "k", "", "", refusal.BadRequest},
		{DefaultVaults(), "evil.example#.vault.azure.net", "k", "", "", refusal.BadRequest},
		{DefaultVaults(), "evil.example/.vault.azure.net", "k", "", "", refusal.BadRequest},
		{DefaultVaults(), "http://v.vault.azure.net", "k", "", "", refusal.BadRequest},
	} {
		vaults, err := ParseVaults(c.entries)
		if err != nil {
			t.Fatal(err)
		}
		id, err := vaults.Parse(c.vault, c.kid)
		switch {
		case c.kind != nil:
			if !errors.Is(err, c.kind) || id != (KeyID{}) {
				t.Errorf("%q: Parse(%q, %q) = %q, %v; want %v", c.entries, c.vault, c.kid, id, err, c.kind)
			}
		case err != nil || id.String() != c.id || id.Audience() != c.aud:
			t.Errorf("%q: Parse(%q, %q) = %q for %q, %v; want %q for %q", c.entries, c.vault, c.kid, id, id.Audience(), err, c.id, c.aud)
		case keyURL(id.Host(), id.Name(), id.Version()) != c.id:
			t.Errorf("%q: parts %q, %q, %q", c.id, id.Host(), id.Name(), id.Version())
		}
	}
}

func TestKidRefused(t *testing.T) {
	vaults, err := ParseVaults(DefaultVaults())
	if err != nil {
		t.Fatal(err)
	}
	for _, kid := range []string{
		"", "/", "//", "k//", "/" + keyVersion, "k//" + keyVersion, "k/" + keyVersion + "//", "k/" + keyVersion + "/release",
		"..", ".", "../secrets/s", "k/..", "k/../x", "k%2f..", "k?x", "k#x", "k\\x", "k x", "k\n", "k\x00", "ké", "k_x", "k.x", "k:x", "@",
		"k/a-b", "k/a_b", "k/é", "k/" + strings.Repeat("0", maxKeyVersion+1),
		"https://v.vault.azure.net/secrets/k", "https://v.vault.azure.net/keys", "keys/", "/keys/", "keys/../k", "keys/keys/k/x",
		"http://v.vault.azure.net/keys/k", "https://v.vault.azure.net/keys/", "https://v.vault.azure.net/keys/k/" + keyVersion + "/x",
		"https://v.vault.azure.net:8443/keys/k", "https://v.vault.azure.net@evil.example/keys/k", "x/keys/k", strings.Repeat("k", maxKeyName+1),
	} {
		if id, err := vaults.Parse("v.vault.azure.net", kid); !errors.Is(err, refusal.BadRequest) {
			t.Errorf("kid %q: %q, %v", kid, id, err)
		}
	}
	if _, err := vaults.Parse("v.vault.azure.net", strings.Repeat("k", maxKeyName)); err != nil {
		t.Error(err)
	}
}

// Common forms that users copy in place of a key's name are accepted if they are unambiguous.
func TestKidForms(t *testing.T) {
	vaults, err := ParseVaults(DefaultVaults())
	if err != nil {
		t.Fatal(err)
	}
	for kid, want := range map[string]string{
		"keys/k": "k", "/keys/k": "k", "keys/k/" + keyVersion: "k/" + keyVersion, "keys/keys/" + keyVersion: "keys/" + keyVersion,
		"keys": "keys", "keys/" + keyVersion: "keys/" + keyVersion, "https://v.vault.azure.net/keys/k": "k", "v.vault.azure.net/keys/k": "k",
		"https://v.vault.azure.net:443/keys/k/" + keyVersion: "k/" + keyVersion,
	} {
		id, err := vaults.Parse("v.vault.azure.net", kid)
		if err != nil || id.String() != "https://v.vault.azure.net/keys/"+want {
			t.Errorf("kid %q: %q, %v", kid, id, err)
		}
	}
	const says = `kid is a key of the vault "other.vault.azure.net", and akv_endpoint is "v.vault.azure.net"`
	_, err = vaults.Parse("v.vault.azure.net", "https://other.vault.azure.net/keys/k")
	if !errors.Is(err, refusal.BadRequest) || !strings.Contains(err.Error(), says) {
		t.Errorf("a key of another vault: %v", err)
	}
	only, err := ParseVaults([]string{"v.vault.azure.net/keys/k"})
	if err != nil {
		t.Fatal(err)
	}
	if id, err := only.Parse("v.vault.azure.net", "https://v.vault.azure.net/keys/other"); !errors.Is(err, refusal.EndpointNotAllowed) {
		t.Errorf("a URL bypasses the allow-list: %q, %v", id, err)
	}
}

// The vault refuses a version in another form. The error says what to send.
func TestVersionAdvice(t *testing.T) {
	vaults, err := ParseVaults(DefaultVaults())
	if err != nil {
		t.Fatal(err)
	}
	for kid, want := range map[string]bool{"k": false, "k/" + keyVersion: false, "k/latest": true, "k/" + strings.ToUpper(keyVersion[:31]) + "F": true} {
		id, err := vaults.Parse("v.vault.azure.net", kid)
		if err != nil {
			t.Fatal(err)
		}
		for _, status := range []int{http.StatusNotFound, http.StatusBadRequest} {
			refused := VaultError{status: status}.refusal(id).Error()
			if strings.Contains(refused, `send the name "k" alone`) != want {
				t.Errorf("%s, %d: %s", kid, status, refused)
			}
		}
	}
}

func TestParseVaultsRefuses(t *testing.T) {
	for _, entry := range []string{
		"", "*", "https://v.vault.azure.net", "v.vault.azure.net/", "v.vault.azure.net/keys/", "v.vault.azure.net/keys/a/b/c",
		"v.vault.azure.net/keys/*", "v.vault.azure.net/secrets/a", "*.vault.azure.net=", "*.vault.azure.net=vault.azure.net",
		"*.vault.azure.net=http://vault.azure.net", "*.vault.azure.net=https://vault.azure.net/path",
		"*.vault.azure.net=https://managedhsm.azure.net", "*.vault.azure.net=https://t.azure.net", "localhost:8443",
		"*.vault.localhost:8443=https://vault.localhost", "evilvault.azure.net=https://vault.azure.net",
	} {
		if _, err := ParseVaults([]string{entry}); err == nil {
			t.Errorf("%q is accepted", entry)
		}
	}
}

func FuzzParseKeyID(f *testing.F) {
	f.Add("v.vault.azure.net", "name/"+keyVersion)
	f.Add("https://v.vault.azure.net:443/", "../x")
	f.Add("demo.vault.localhost:8443", "a%2fb")
	f.Fuzz(func(t *testing.T, vault, kid string) {
		vaults, err := ParseVaults(append(DefaultVaults(), "*.vault.localhost:8443"))
		if err != nil {
			t.Fatal(err)
		}
		id, err := vaults.Parse(vault, kid)
		if err != nil {
			return
		}
		location, err := parseLocation(id.String())
		if err != nil || !id.covers(location) || location.String() != id.String() {
			t.Fatalf("%q is parsed again as %q, %v", id, location, err)
		}
		if !strings.HasSuffix(id.Host().String(), "."+strings.TrimPrefix(id.Audience(), "https://")) {
			t.Fatalf("%q has the audience %q", id, id.Audience())
		}
	})
}

func FuzzParseLocation(f *testing.F) {
	f.Add("https://v.vault.azure.net:443/keys/name/" + keyVersion)
	f.Fuzz(func(t *testing.T, text string) {
		location, err := parseLocation(text)
		if err != nil {
			return
		}
		if again, err := parseLocation(location.String()); err != nil || again != location {
			t.Fatalf("%q is parsed again as %q, %v", location, again, err)
		}
	})
}
