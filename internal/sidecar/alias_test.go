package sidecar

import (
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skr/internal/config"
)

// TestAliasWays checks that entries in the same position of both lists are tried first.
func TestAliasWays(t *testing.T) {
	for text, want := range map[string][]string{
		`{"vault":"v1.vault.azure.net","key":"k","authority":"a1.attest.azure.net"}`:                           {"a1 v1"},
		`{"vaults":["v1.vault.azure.net"],"key":"k","authority":"a1.attest.azure.net"}`:                        {"a1 v1"},
		`{"vaults":["v1.vault.azure.net","v2.vault.azure.net"],"key":"k","authority":"a1.attest.azure.net"}`:   {"a1 v1", "a1 v2"},
		`{"vault":"v1.vault.azure.net","key":"k","authorities":["a1.attest.azure.net","a2.attest.azure.net"]}`: {"a1 v1", "a2 v1"},
		`{"vaults":["v1.vault.azure.net","v2.vault.azure.net"],"key":"k","authorities":["a1.attest.azure.net","a2.attest.azure.net"]}`: {
			"a1 v1", "a2 v2", "a1 v2", "a2 v1"},
	} {
		s, _, err := config.Load(nil, config.Environment{"SKR_KEYS": `{"orders":` + text + `}`})
		if err != nil {
			t.Fatal(err)
		}
		parts, err := Assemble(s, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, way := range parts.Aliases["orders"].Ways() {
			got = append(got, way.Authority.String()[:2]+" "+way.Key.Vault().String()[:2])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}
