package main

import (
	"flag"
	"testing"

	"skr/internal/cli"
	"skr/test/commands"
)

// manDirectory is where `make man` writes the pages. The program itself does not link the
// page generator.
var manDirectory = flag.String("man", "", "directory for the manual pages")

func TestManPages(t *testing.T) {
	dir := *manDirectory
	if dir == "" {
		dir = t.TempDir()
	}
	commands.CheckManPages(t, rootCommand(nil, cli.Streams{}), dir)
}

func TestHelpWidth(t *testing.T) {
	commands.CheckHelp(t, rootCommand(nil, cli.Streams{}))
}
