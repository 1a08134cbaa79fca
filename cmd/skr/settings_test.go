package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// The tables of docs/configuration.md are those of the code.
func TestDocumentedSettings(t *testing.T) {
	var want strings.Builder
	want.WriteString("| field | default | meaning |\n|---|---|---|\n")
	new(settings).flags().VisitAll(func(flag *pflag.Flag) {
		value := flag.DefValue
		if value != "" {
			value = "`" + strings.ReplaceAll(value, ",", "` `") + "`"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s |\n", fieldName(flag.Name), value, strings.ReplaceAll(flag.Usage, "|", "\\|"))
	})
	documented(t, want.String())
}

func TestDocumentedExitCodes(t *testing.T) {
	kinds := map[int][]string{}
	for _, row := range exitCodes {
		kinds[row.code] = append(kinds[row.code], row.target.Error())
	}
	var want strings.Builder
	want.WriteString("| exit code | when |\n|---|---|\n")
	for code, meaning := range []string{"done", "a bug, or an error that no other code fits", "the configuration is wrong",
		"somebody refused, and trying again is useless", "somebody is unreachable, failing, throttling or too slow: try again",
		"this machine cannot prove what it is", "an answer is malformed or not authentic"} {
		if more := kinds[code]; len(more) > 0 {
			meaning += " (" + strings.Join(more, ", ") + ")"
		}
		fmt.Fprintf(&want, "| %d | %s |\n", code, meaning)
	}
	documented(t, want.String())
}

func documented(t *testing.T, table string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), table) {
		t.Errorf("docs/configuration.md must hold this table:\n%s", table)
	}
}
