package sidecar

import (
	"errors"
	"log/slog"
	"testing"

	"skr/internal/config"
	"skr/internal/refusal"
	"skr/internal/sidecar/csi"
)

// A volume gets no key that an alias keeps, in whichever place of its list the vault stands.
func TestKeptKeyIsNotMounted(t *testing.T) {
	const vault, other, authority = "v1.vault.azure.net", "v2.vault.azure.net", "a1.attest.azure.net"
	s, _, err := config.Load(nil, config.Environment{"SKR_VAULT_ALLOW": "*.vault.azure.net", "SKR_KEYS": `{
		"kept":{"vault":"` + vault + `","key":"kept","authority":"` + authority + `","ops":["decrypt"]},
		"used":{"vault":"` + vault + `","key":"used","in_vault":true},
		"free":{"vault":"` + vault + `","key":"free","authority":"` + authority + `"}}`})
	if err != nil {
		t.Fatal(err)
	}
	parts, err := Assemble(s, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key     string
		refused bool
	}{{"kept", true}, {"used", true}, {"free", false}, {"none", false}} {
		for _, place := range []csi.Place{
			{Vault: vault, Key: c.key, Authority: authority}, {Vaults: []string{other, vault}, Key: c.key, Authority: authority},
		} {
			if _, err := parts.resolve(place); errors.Is(err, refusal.CallerNotAllowed) != c.refused || err != nil && !c.refused {
				t.Errorf("%+v: %v", place, err)
			}
		}
	}
}
