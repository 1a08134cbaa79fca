package arch

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ownTokens are the files that read JSON token by token beside package strictjson.
var ownTokens = []string{
	"api/jwk.go",                            // package api imports the standard library only
	"releasepolicy/reader.go",               // a policy's errors have line and column
	"internal/operator/measure/document.go", // several documents in one file
}

// One package reads JSON strictly: a second decoder would have rules of its own.
func TestOneJSONDecoder(t *testing.T) {
	found := 0
	for _, root := range []string{"api", "attest", "cmd/skr", "cmd/skrctl", "hsm", "internal", "keyrelease", "releasepolicy"} {
		err := filepath.WalkDir(filepath.Join("../..", root), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			name := filepath.ToSlash(strings.TrimPrefix(path, "../../"))
			if !strings.Contains(string(text), "json.NewDecoder(") && !strings.Contains(string(text), "jsontext.NewDecoder(") {
				return err
			}
			found++
			if !strings.HasPrefix(name, "internal/strictjson/") && !slices.Contains(ownTokens, name) {
				t.Errorf("%s has a decoder of its own; use strictjson.Decoder", name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found <= len(ownTokens) {
		t.Errorf("found %d files with a decoder, want those of the list and package strictjson", found)
	}
}
