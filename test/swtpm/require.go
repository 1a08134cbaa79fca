package swtpm

import (
	"os"
	"os/exec"
	"testing"
)

// Need skips a test if swtpm is not installed. If CI is set, the test fails
// instead.
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

// Require starts a machine for a test. It needs swtpm.
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
