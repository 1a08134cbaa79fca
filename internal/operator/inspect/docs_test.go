package inspect

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The document's table names exactly the existing kinds.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../../docs/artefacts.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, k := range kinds {
		want = append(want, string(k.kind)+": "+k.name)
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ([^|]+) \\| [^|]+ \\|$").FindAllStringSubmatch(string(text), -1) {
		got = append(got, row[1]+": "+row[2])
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/artefacts.md (-code +document):\n%s", diff)
	}
}
