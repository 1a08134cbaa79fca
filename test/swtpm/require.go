package swtpm

import (
	"os"
	"os/exec"
	"testing"
)

// Require starts a machine for a test. Where swtpm is not installed the test is
// skipped, but not where CI is set: there it fails.
func Require(t testing.TB, c Config) *Machine {
	t.Helper()
	if _, err := exec.LookPath("swtpm"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("swtpm is not installed: apt-get install swtpm")
		}
		t.Skip("swtpm is not installed (apt-get install swtpm): no emulated TPM")
	}
	m, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}
