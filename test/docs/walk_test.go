package docs

import (
	"regexp"
	"strings"
	"testing"
)

// standIn takes the place of a block of az or kubectl with that line in it: what the
// block leaves behind is made with the emulator.
type standIn struct{ line, instead string }

var commandBlock = regexp.MustCompile("(?s)```(sh|azurecli)\n(.*?)```")

// walk is what a document says to run, with the stand-ins in their order.
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
