package keyproviderpb

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// TestGeneratedCode checks that the pinned generators produce the committed code.
func TestGeneratedCode(t *testing.T) {
	out := t.TempDir()
	generate := exec.Command("go", "run", "./test/generate", out)
	generate.Dir = "../../.."
	if text, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	files, err := filepath.Glob(filepath.Join(out, "internal/sidecar/keyproviderpb/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(out, "internal/sidecar/keyproviderpb/*/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	csi, err := filepath.Glob(filepath.Join(out, "internal/sidecar/csipb/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := filepath.Glob(filepath.Join(out, "internal/sidecar/keyspb/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	if files = slices.Concat(files, more, csi, keys); len(files) != 8 {
		t.Fatalf("%d files were generated, want 8", len(files))
	}
	for _, file := range files {
		name, err := filepath.Rel(out, file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join("../../..", name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is outdated; run make generate", name)
		}
	}
}
