package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"skr/internal/cli"
)

// moved are the commands that skrctl has: each with what to type in its place.
var moved = []struct{ name, now string }{
	{"policy", "skrctl policy"},
	{"key", "skrctl key"},
	{"show", "skrctl show"},
	{"report", "skrctl show or skrctl report verify"},
	{"token", "skrctl show or skrctl token verify"},
	{"vtpm", "skrctl show or skrctl vtpm verify"},
	{"audit", "skrctl audit"},
}

func movedCommands() (commands []*cobra.Command) {
	for _, m := range moved {
		commands = append(commands, &cobra.Command{
			Use:                m.name,
			Short:              "Moved to the operator's program: use " + m.now,
			Hidden:             true,
			DisableFlagParsing: true, // whatever follows, the answer is the same
			Annotations:        map[string]string{cli.Moved: m.now},
			RunE: func(*cobra.Command, []string) error {
				return cli.BadUsage(fmt.Errorf("%s is a command of the operator's program: use %s", m.name, m.now))
			},
		})
	}
	return commands
}
