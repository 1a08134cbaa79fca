package reference

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	long := strings.Repeat("word ", 30) + "`code with spaces` " + strings.Repeat("x", 2*Width)
	for i, line := range strings.Split(Wrap(long, "  "), "\n") {
		if len(line) > Width && strings.Contains(strings.TrimSpace(line), " ") || i > 0 && !strings.HasPrefix(line, "  ") {
			t.Errorf("line %d: %q", i, line)
		}
		if strings.Count(line, "`")%2 == 1 {
			t.Errorf("code is broken: %q", line)
		}
	}
}

func TestTable(t *testing.T) {
	const want = "| a | b |\n|---|---|\n| x\\|y | `1` `2` |\n"
	if got := Table([]string{"a", "b"}, [][]string{{"x|y", Code("1", "2")}}); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestConstants(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.go")
	source := "package a\nconst (\n// A: above\n// it.\nA K = \"x\"\nB K = \"y\" // behind\nC = 1 // untyped\n)\n"
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Constants(t, path, "K"); !slices.Equal(got, []Constant{{"A", "x", "above it."}, {"B", "y", "behind"}}) {
		t.Errorf("%q", got)
	}
	if got := Constants(t, path, ""); !slices.Equal(got, []Constant{{"C", "1", "untyped"}}) {
		t.Errorf("%q", got)
	}
}
