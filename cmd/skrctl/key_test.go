package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"skr/internal/cli"
	"skr/internal/operator/provision"
)

func keysDocument(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The table of flags in docs/keys.md matches the code.
func TestDocumentedKeyFlags(t *testing.T) {
	for _, cmd := range []*cobra.Command{keyCreateCommand(nil, cli.Streams{}), keyImportCommand(nil, cli.Streams{})} {
		var want strings.Builder
		want.WriteString("| flag | default | meaning |\n|---|---|---|\n")
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			value := flag.DefValue
			if value != "" {
				value = "`" + value + "`"
			}
			fmt.Fprintf(&want, "| `--%s` | %s | %s |\n", flag.Name, value, flag.Usage)
		})
		if !strings.Contains(keysDocument(t), want.String()+"\n") {
			t.Errorf("docs/keys.md lacks the flags of %s:\n%s", cmd.Name(), &want)
		}
	}
}

// The table of members in docs/keys.md has the members of keyInfo in their order.
func TestDocumentedKeyInfo(t *testing.T) {
	_, table, _ := strings.Cut(keysDocument(t), "| member | meaning |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")
	fields := reflect.TypeFor[keyInfo]()
	if len(rows) != fields.NumField() {
		t.Fatalf("%d rows for %d members", len(rows), fields.NumField())
	}
	for i, row := range rows {
		name, _, _ := strings.Cut(fields.Field(i).Tag.Get("json"), ",")
		if !strings.HasPrefix(row, "| `"+name+"` | ") {
			t.Errorf("row %d is not for %q: %s", i, name, row)
		}
	}
}

// An unreadable policy is reported as such, and its text is left out of JSON.
func TestUnreadablePolicy(t *testing.T) {
	info := describeKey(&provision.Key{Policy: []byte("\x1b[2J{")})
	if info.Policy != nil || info.PolicyError == "" || strings.ContainsRune(info.policyLine(), '\x1b') {
		t.Errorf("%+v", info)
	}
}
