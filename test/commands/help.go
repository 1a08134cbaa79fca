package commands

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

const terminalWidth = 80

// CheckHelp checks that the help of each command fits into a terminal. Only words that cannot be
// broken, such as URLs, may be longer.
func CheckHelp(t *testing.T, root *cobra.Command) {
	t.Helper()
	checked := 0
	Walk(root, func(cmd *cobra.Command) {
		var out bytes.Buffer
		cmd.SetOut(&out)
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		checked++
		for line := range strings.Lines(out.String()) {
			line = strings.TrimRight(line, "\n")
			if strings.Contains(line, "true|false") {
				t.Errorf("%s --help shows the values of a boolean flag: %s", cmd.CommandPath(), line)
			}
			if len([]rune(line)) > terminalWidth && strings.ContainsAny(strings.TrimSpace(line), " ,") {
				t.Errorf("%s --help has a line of %d columns: %s", cmd.CommandPath(), len([]rune(line)), line)
			}
		}
	})
	if checked < 5 {
		t.Errorf("only %d commands were checked", checked)
	}
}
