package sidecar

import (
	"log/slog"
	"strings"
	"testing"

	"skr/internal/config"
)

// The error for an incomplete alias names the missing part once.
func TestAliasWithoutParts(t *testing.T) {
	for section, want := range map[string]string{
		`{"orders": {"vault": "v.vault.azure.net", "key": "k"}}`:          `keys: "orders": authority is missing: name one, or several as authorities`,
		`{"orders": {"authority": "a.eus.attest.azure.net", "key": "k"}}`: `keys: "orders": vault is missing: name one, or several as vaults`,
	} {
		s, _, err := config.Load(nil, config.Environment{"SKR_KEYS": section})
		if err != nil {
			t.Fatal(err)
		}
		_, err = Assemble(s, nil, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), "is missing") != 1 {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
