package sidecar

import (
	"os"
	"path/filepath"
	"testing"
)

// fileWith returns the path of a configuration file with that text.
func fileWith(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "skr.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
