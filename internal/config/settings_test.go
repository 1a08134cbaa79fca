package config

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestDocumentedSettings compares the tables of docs/configuration.md with the settings.
// Long lists of default hosts have a table of their own.
func TestDocumentedSettings(t *testing.T) {
	var want, hosts strings.Builder
	want.WriteString("| field | default | meaning |\n|---|---|---|\n")
	hosts.WriteString("| field | default |\n|---|---|\n")
	new(Settings).Flags().VisitAll(func(flag *pflag.Flag) {
		value := flag.DefValue
		if list := strings.Split(value, ","); strings.HasPrefix(value, "*.") {
			value = "[hosts](#default-hosts)"
			for _, host := range list {
				fmt.Fprintf(&hosts, "| `%s` | `%s` |\n", FieldName(flag.Name), host)
			}
		} else if value != "" {
			value = "`" + strings.Join(list, "` `") + "`"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s |\n", FieldName(flag.Name), value, strings.ReplaceAll(flag.Usage, "|", "\\|"))
	})
	documented(t, want.String())
	documented(t, hosts.String()+"\n")
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
