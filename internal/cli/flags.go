package cli

import (
	"github.com/spf13/cobra"

	"skr/internal/config"
)

// addSettings adds to the command and its subcommands the flags of the settings they use.
func addSettings(cmd *cobra.Command) {
	all := new(config.Settings).Flags()
	for _, g := range config.Uses[cmd.CommandPath()] {
		config.AddGroup(cmd.Flags(), g, all)
	}
	for _, child := range cmd.Commands() {
		addSettings(child)
	}
}
