package hsm

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/releasepolicy"
)

func TestParseVault(t *testing.T) {
	vaults, err := ParseVaults([]string{"one.vault.azure.net/keys/k", "*.managedhsm.azure.net", "*.vault.localhost:8443"})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]struct {
		audience string
		flavour  releasepolicy.Flavour
		kind     *refusal.Kind
	}{
		"one.vault.azure.net":                 {"https://vault.azure.net", releasepolicy.KeyVault, nil},
		"https://h.managedhsm.azure.net":      {"https://managedhsm.azure.net", releasepolicy.ManagedHSM, nil},
		"managedhsm.vault.localhost:8443":     {"https://vault.localhost:8443", releasepolicy.KeyVault, nil},
		"two.vault.azure.net":                 {"", releasepolicy.KeyVault, refusal.EndpointNotAllowed},
		"one.vault.azure.net:8443":            {"", releasepolicy.KeyVault, refusal.EndpointNotAllowed},
		"h.managedhsm.azure.net.evil.example": {"", releasepolicy.KeyVault, refusal.EndpointNotAllowed},
		"http://one.vault.azure.net":          {"", releasepolicy.KeyVault, refusal.BadRequest},
		"":                                    {"", releasepolicy.KeyVault, refusal.BadRequest},
	} {
		vault, err := vaults.ParseVault(text)
		if want.kind != nil && !errors.Is(err, want.kind) || want.kind == nil && err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if vault.Audience() != want.audience || vault.Flavour() != want.flavour {
			t.Errorf("%q: %q of %v", text, vault.Audience(), vault.Flavour())
		}
	}
}

func TestKeyOfVault(t *testing.T) {
	vaults, err := ParseVaults([]string{"*.vault.azure.net"})
	if err != nil {
		t.Fatal(err)
	}
	asked, err := vaults.Parse("one.vault.azure.net", "Key")
	if err != nil {
		t.Fatal(err)
	}
	for text, good := range map[string]bool{
		"https://one.vault.azure.net/keys/key/0123":     true,
		"https://one.vault.azure.net:443/keys/key/0123": true,
		"https://two.vault.azure.net/keys/key/0123":     false,
		"https://one.vault.azure.net/secrets/key":       false,
		"https://one.vault.azure.net/keys/../key":       false,
	} {
		id, err := asked.Vault().Key(text)
		if (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
		if good && (!asked.Covers(id) || id.Covers(asked) || id.Audience() != asked.Audience()) {
			t.Errorf("%q is not a version of %q", id, asked)
		}
	}
}

// recorder records what would reach the network.
type recorder struct {
	sent          int
	authorization string // of the last request
}

func (r *recorder) Do(request *http.Request) (*http.Response, error) {
	r.sent++
	r.authorization = request.Header.Get("Authorization")
	return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody, Request: request}, nil
}

func vaultNamed(t *testing.T, name string) Vault {
	t.Helper()
	vaults, err := ParseVaults([]string{"*.vault.azure.net"})
	if err != nil {
		t.Fatal(err)
	}
	vault, err := vaults.ParseVault(name + ".vault.azure.net")
	if err != nil {
		t.Fatal(err)
	}
	return vault
}

// The token is sent only to its vault, wherever a link leads.
func TestTokenStaysWithItsVault(t *testing.T) {
	vault := vaultNamed(t, "one")
	for link, allowed := range map[string]bool{
		"https://one.vault.azure.net/keys":                  true,
		"https://one.vault.azure.net:443/keys?$skiptoken=x": true,
		"https://ONE.vault.azure.net/keys":                  true,
		"http://one.vault.azure.net/keys":                   false,
		"https://one.vault.azure.net:8443/keys":             false,
		"https://two.vault.azure.net/keys":                  false,
		"https://one.vault.azure.net.evil.example/keys":     false,
		"https://127.0.0.1/keys":                            false,
	} {
		network := new(recorder)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer placeholder")
		answer, err := vaultTransport{vault, secmem.NewText("secret"), network}.Do(request)
		if answer != nil {
			_ = answer.Body.Close()
			if kept := answer.Request.Header.Get("Authorization"); network.authorization != "Bearer secret" || kept != "Bearer placeholder" {
				t.Errorf("%q: sent with %q, kept with %q", link, network.authorization, kept)
			}
		}
		if (network.sent == 1) != allowed || !allowed && !errors.Is(err, refusal.Untrusted) {
			t.Errorf("%q: sent %d times, %v", link, network.sent, err)
		}
	}
}

// TestNothingIsSentWithoutToken checks that the SDK's placeholder is never sent.
func TestNothingIsSentWithoutToken(t *testing.T) {
	network := new(recorder)
	client, err := Connection{Vault: vaultNamed(t, "one"), Transport: network}.Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetKey(t.Context(), "n", "", nil); !errors.Is(err, refusal.ReleaseRejected) || network.sent != 0 {
		t.Errorf("sent %d times, %v", network.sent, err)
	}
}

// TestVaultErrorText checks that an error without an inner code does not show an empty one.
func TestVaultErrorText(t *testing.T) {
	for want, e := range map[string]VaultError{
		`the vault answered 404, code "KeyNotFound": "no key"`:                           {status: 404, code: "KeyNotFound", message: "no key"},
		`the vault answered 403, code "Forbidden", inner code "ForbiddenByPolicy": "no"`: {status: 403, code: "Forbidden", inner: "ForbiddenByPolicy", message: "no"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestScrubbedVaultError(t *testing.T) {
	secret := strings.Repeat("AbC123", 20)
	said := VaultError{status: 400, code: "BadParameter", message: "you sent " + secret}.Scrubbed()
	if strings.Contains(said.Error(), secret[:40]) || said.Status() != 400 || !said.Says("", "you sent") || said.Says("", "") {
		t.Errorf("%v", said)
	}
	if _, ok := ReadVaultError(errors.New("no answer"), secmem.Text{}); ok {
		t.Error("an error without an answer has one")
	}
}
