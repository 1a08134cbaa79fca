package main

import (
	"io"
	"testing"

	"skr/test/commands"
)

func TestCommandsReference(t *testing.T) {
	commands.CheckReference(t, rootCommand(io.Discard, io.Discard))
}

func TestHelpWidth(t *testing.T) {
	commands.CheckHelp(t, rootCommand(io.Discard, io.Discard))
}
