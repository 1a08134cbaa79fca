package e2e

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "skr/examples/kafka/"

// imports returns the direct and indirect imports of a package of this module.
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

// TestOnlyTheClient checks that an application needs only skr's client.
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

// TestNoEmulationShips checks that no program in an image contains a part of
// the emulation.
func TestNoEmulationShips(t *testing.T) {
	for _, name := range imports(t, "./cmd/...") {
		if strings.HasPrefix(name, module+"emulated") || strings.Contains(name, "kfake") {
			t.Errorf("a program contains %s", name)
		}
	}
}
