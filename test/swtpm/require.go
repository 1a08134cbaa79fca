package swtpm

import (
	"os"
	"os/exec"
	"testing"
)

// Need skips a test where swtpm is not installed, but not where CI is set: there it
// fails.
func Need(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("swtpm"); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("swtpm is not installed: apt-get install swtpm")
	}
	t.Skip("swtpm is not installed (apt-get install swtpm): no emulated TPM")
}

// Require starts a machine for a test, which needs swtpm.
func Require(t testing.TB, c Config) *Machine {
	t.Helper()
	Need(t)
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
