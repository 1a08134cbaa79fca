package cli

import (
	"os"
	"path/filepath"
	"testing"
)

// A file appears complete and with its mode, or not at all.
func TestPendingFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := WriteOutput(t.Context(), path, []byte("one"), PublicMode, nil); err != nil {
		t.Fatal(err)
	}
	left, err := NewPendingFile(path, secretMode)
	if err != nil {
		t.Fatal(err)
	}
	if err := left.Write([]byte("two")); err != nil {
		t.Fatal(err)
	}
	left.Discard()
	if text, err := os.ReadFile(path); err != nil || string(text) != "one" {
		t.Errorf("%q, %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != PublicMode {
		t.Errorf("%v, %v", info, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if err := WriteOutput(t.Context(), path, nil, secretMode, nil); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != secretMode {
		t.Errorf("%v, %v", info, err)
	}
}
