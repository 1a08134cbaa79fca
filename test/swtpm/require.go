package swtpm

import (
	"testing"

	"skr/test/tool"
)

// Need skips a test if swtpm is not installed. If CI is set, the test fails
// instead.
func Need(t testing.TB) {
	t.Helper()
	tool.Need(t, "swtpm", "swtpm")
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
