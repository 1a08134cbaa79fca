// Package samples reads recorded Azure data and genuine reports for tests. The
// data is not part of the repository. SKR_SAMPLES names its directory; the
// default is a directory beside the repository. Tests that need the data skip
// if it is absent.
package samples

import (
	"os"
	"path/filepath"
	"testing"
)

// Read returns a file of the samples. It skips the test if the directory is
// absent, and fails it if only the file is missing.
func Read(t testing.TB, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(Path(t, path...))
	if err != nil {
		t.Fatalf("sample: %v", err)
	}
	return data
}

// Path returns the path of a file or directory of the samples. It skips the
// test if the samples are absent.
func Path(t testing.TB, path ...string) string {
	t.Helper()
	folder := os.Getenv("SKR_SAMPLES")
	if folder == "" {
		folder = filepath.Join(Repository(t), "..", "shared", "samples")
	}
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("no samples of real data; set SKR_SAMPLES to their directory (%v)", err)
	}
	return filepath.Join(append([]string{folder}, path...)...)
}

// Files returns the names of the files in a directory of the samples, sorted. It
// skips the test if the samples are absent.
func Files(t testing.TB, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(Path(t, folder))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// Repository returns the root of the module that is tested.
func Repository(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}
