package main

import (
	"testing"

	"skr/internal/cli"
	"skr/test/commands"
)

func TestCommandsReference(t *testing.T) { commands.CheckReference(t, rootCommand(nil, cli.Streams{})) }
