package config

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// The tables of docs/configuration.md match the code.
func TestDocumentedSettings(t *testing.T) {
	var want strings.Builder
	want.WriteString("| field | default | meaning |\n|---|---|---|\n")
	new(Settings).Flags().VisitAll(func(flag *pflag.Flag) {
		value := flag.DefValue
		if value != "" {
			value = "`" + strings.ReplaceAll(value, ",", "` `") + "`"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s |\n", FieldName(flag.Name), value, strings.ReplaceAll(flag.Usage, "|", "\\|"))
	})
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
