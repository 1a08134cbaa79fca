package commands

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// CheckManPages writes the manual pages of the program to dir, and fails unless each command
// has one with its flags.
func CheckManPages(t *testing.T, root *cobra.Command, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	root.DisableAutoGenTag = true // the same pages on every day
	header := &doc.GenManHeader{Title: strings.ToUpper(root.Name()), Section: "1", Source: "skr", Manual: "skr"}
	if err := doc.GenManTree(root, header, dir); err != nil {
		t.Fatal(err)
	}
	Walk(root, func(cmd *cobra.Command) {
		if cmd != root && (!cmd.IsAvailableCommand() || cmd.HasParent() && cmd.Parent().Hidden) {
			return
		}
		page, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1"))
		if err != nil {
			t.Error(err)
		}
		for _, part := range []string{"SYNOPSIS", `--log-file`} {
			if !strings.Contains(strings.ReplaceAll(string(page), `\-`, "-"), part) {
				t.Errorf("the page of %s lacks %q", cmd.CommandPath(), part)
			}
		}
	})
}
