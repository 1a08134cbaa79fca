package arch

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ownTokens lists the files outside package strictjson that read JSON token by token.
var ownTokens = []string{
	"api/jwk.go",                            // package api imports only the standard library
	"releasepolicy/reader.go",               // errors in a policy have line and column
	"internal/operator/measure/document.go", // several documents in one file
}

// Only one package decodes JSON strictly: a second decoder would have different rules.
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
				t.Errorf("%s has its own decoder; use strictjson.Decoder", name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found <= len(ownTokens) {
		t.Errorf("found %d files with a decoder, want the listed ones and package strictjson", found)
	}
}
