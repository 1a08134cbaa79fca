package e2e

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "skr/examples/kafka/"

// imports of a package of this module, direct and indirect.
func imports(t *testing.T, packages string) []string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", packages)
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// An application needs nothing of skr but its client.
func TestOnlyTheClient(t *testing.T) {
	all := imports(t, "./...")
	for _, name := range all {
		if strings.HasPrefix(name, "skr/") && !strings.HasPrefix(name, module) && name != "skr/api" {
			t.Errorf("the module uses %s", name)
		}
	}
	if !slices.Contains(all, "skr/api") {
		t.Error("the module does not use skr/api")
	}
}

// No program of an image has a part of the emulation.
func TestNoEmulationShips(t *testing.T) {
	for _, name := range imports(t, "./cmd/...") {
		if strings.HasPrefix(name, module+"emulated") || strings.Contains(name, "kfake") {
			t.Errorf("a program has %s", name)
		}
	}
}
