package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"skr/internal/cli"
)

// moved lists the commands that are now commands of skrctl, each with what to type instead.
var moved = []struct{ name, now string }{
	{"policy", "skrctl policy"},
	{"key", "skrctl key"},
	{"show", "skrctl show"},
	{"report", "skrctl show or skrctl verify"},
	{"token", "skrctl show or skrctl verify"},
	{"vtpm", "skrctl show or skrctl verify"},
	{"audit", "skrctl audit"},
}

func movedCommands() (commands []*cobra.Command) {
	for _, m := range moved {
		commands = append(commands, &cobra.Command{
			Use:                m.name,
			Short:              "Moved to skrctl: use " + m.now,
			Hidden:             true,
			DisableFlagParsing: true, // the answer is the same for all flags
			Annotations:        map[string]string{cli.Moved: m.now},
			RunE: func(*cobra.Command, []string) error {
				return cli.BadUsage(fmt.Errorf("%s is a command of the operator's program: use %s", m.name, m.now))
			},
		})
	}
	return commands
}
