// Package tool is for tests that run programs which a machine may lack.
package tool

import (
	"os"
	"os/exec"
	"testing"
)

// Need skips the test if a program is not installed. Packages are those of Debian that have it.
func Need(t testing.TB, name, packages string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		Missing(t, name, "apt-get install "+packages)
	}
}

// Missing skips the test, because this machine lacks something. If the variable CI is set, the test
// fails instead.
func Missing(t testing.TB, what, install string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing: %s", what, install)
	}
	t.Skipf("%s is missing (%s)", what, install)
}
