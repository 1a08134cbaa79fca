package azuresdk

import (
	"os"
	"testing"
)

// notServedGo are the calls of Go's clients that the emulator refuses.
var notServedGo = map[string]string{
	"azkeys, Key Vault: CreateKey, oct-HSM": "400 BadParameter", // as the service before 2026
	"azkeys, Key Vault: GetRandomBytes":     "404 NotFound",     // only Managed HSM has it
}

// TestGo runs azidentity and azkeys in a process of their own. The process is this binary.
func TestGo(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	rows := parseRows(t, withRealNames(t, []string{self}, clientVariable+"=go"), 70)
	checkRows(t, rows, notServedGo)
	compare(t, "Go", rows)
}
