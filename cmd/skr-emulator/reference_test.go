package main

import (
	"io"
	"testing"

	"skr/test/commands"
)

func TestCommandsReference(t *testing.T) {
	root := rootCommand(io.Discard, io.Discard)
	for _, cmd := range root.Commands() {
		if skr := cmd.Flags().Lookup("skr"); skr != nil {
			skr.DefValue = "skr" // beside the program, wherever that is
		}
	}
	commands.CheckReference(t, root)
}
