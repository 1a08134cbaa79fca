package docs

import (
	"regexp"
	"strings"
	"testing"
)

// standIn replaces a block of az or kubectl that contains the line with
// commands that create the same state on the emulator.
type standIn struct{ line, instead string }

var commandBlock = regexp.MustCompile("(?s)```(sh|azurecli)\n(.*?)```")

// walk returns the document's commands with the stand-ins in order.
func walk(t *testing.T, document string, standIns []standIn) string {
	t.Helper()
	var whole strings.Builder
	used := 0
	for _, found := range commandBlock.FindAllStringSubmatch(document, -1) {
		if found[1] == "sh" {
			whole.WriteString(found[2])
			continue
		}
		if used == len(standIns) || !strings.Contains(found[2], standIns[used].line) {
			t.Fatalf("no stand-in for:\n%s", found[2])
		}
		whole.WriteString(standIns[used].instead)
		used++
	}
	if used != len(standIns) {
		t.Errorf("the document lacks %s", standIns[used].line)
	}
	return whole.String()
}
