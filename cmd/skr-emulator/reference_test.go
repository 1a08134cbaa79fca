package main

import (
	"io"
	"testing"

	"skr/test/commands"
)

func TestCommandsReference(t *testing.T) {
	commands.CheckReference(t, rootCommand(io.Discard, io.Discard))
}
