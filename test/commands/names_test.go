package commands

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// No error of this module starts with the name of its package, wherever it is made.
func TestNoPackageNamesInErrors(t *testing.T) {
	for _, root := range []string{"../../attest", "../../hsm", "../../internal", "../../keyrelease", "../../api"} {
		err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			prefix := filepath.Base(filepath.Dir(path)) + ": "
			for _, call := range []string{`Errorf("`, `errors.New("`} {
				if strings.Contains(string(text), call+prefix) {
					t.Errorf("%s: an error starts with %q; leave out the package name, which does not help users", path, prefix)
				}
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
