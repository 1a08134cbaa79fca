package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manDirectory is where `make man` has the pages. The program itself does not link what
// writes them.
var manDirectory = flag.String("man", "", "directory for the manual pages")

// Every command has a manual page with its flags.
func TestManPages(t *testing.T) {
	dir := t.TempDir()
	if *manDirectory != "" {
		dir = *manDirectory
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root := rootCommand(environment{}, streams{})
	root.DisableAutoGenTag = true // the same pages on every day
	if err := doc.GenManTree(root, &doc.GenManHeader{Title: "SKR", Section: "1", Source: "skr", Manual: "skr"}, dir); err != nil {
		t.Fatal(err)
	}
	walkCommands(root, func(cmd *cobra.Command) {
		if !cmd.IsAvailableCommand() && cmd != root {
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
