package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestDocumentedExitCodes(t *testing.T) {
	kinds := map[int][]string{}
	for _, row := range exitCodes {
		kinds[row.code] = append(kinds[row.code], row.target.Error())
	}
	var want strings.Builder
	want.WriteString("| exit code | when |\n|---|---|\n")
	for code, meaning := range []string{"done", "a bug, or an error that no other code fits", "the configuration is wrong",
		"refused; do not retry", "a service is unreachable, failing, throttling or too slow; retry later",
		"this machine cannot prove what it is", "an answer is malformed or not authentic"} {
		if more := kinds[code]; len(more) > 0 {
			meaning += " (" + strings.Join(more, ", ") + ")"
		}
		fmt.Fprintf(&want, "| %d | %s |\n", code, meaning)
	}
	documentedCodes(t, want.String())
}

func documentedCodes(t *testing.T, table string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), table) {
		t.Errorf("docs/configuration.md must hold this table:\n%s", table)
	}
}
