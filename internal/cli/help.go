package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"skr/internal/config"
)

// helpWidth is where the help of flags is wrapped.
const helpWidth = 110

// printUsage is the part of help below the description: how the command is used, what is
// below it, and its flags by group.
func printUsage(cmd *cobra.Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage:\n  %s\n", cmd.UseLine())
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\nCommands:\n")
		for _, child := range cmd.Commands() {
			if child.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-12s %s\n", child.Name(), child.Short)
			}
		}
	}
	own, settings, every := flagsByGroup(cmd)
	printFlags(&b, "Flags", own)
	for _, title := range ownTitles(cmd) {
		printFlags(&b, title, settings[title])
	}
	for _, g := range config.AllGroups {
		printFlags(&b, g, settings[g])
	}
	printFlags(&b, config.Logging, every)
	b.WriteString("\nSettings, the flags with a title of their own, may also stand in the file of --config as a_b and in the\n" +
		"environment as SKR_A_B; `skr config` prints those that are in force.\n")
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "`%s COMMAND --help` prints more about a command.\n", cmd.CommandPath())
	}
	_, err := fmt.Fprint(cmd.OutOrStderr(), b.String())
	return err
}

// flagsByGroup tells the flags of the command alone from settings, and from those that
// every command has.
func flagsByGroup(cmd *cobra.Command) (own *pflag.FlagSet, settings map[string]*pflag.FlagSet, every *pflag.FlagSet) {
	own, every = newHelpSet(), newHelpSet()
	settings = make(map[string]*pflag.FlagSet)
	persistent := cmd.Root().PersistentFlags()
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		title := flag.Annotations[config.InGroup]
		switch {
		case persistent.Lookup(flag.Name) != nil || flag.Name == "help":
			every.AddFlag(flag)
		case len(title) == 0:
			own.AddFlag(flag)
		default:
			if settings[title[0]] == nil {
				settings[title[0]] = newHelpSet()
			}
			settings[title[0]].AddFlag(flag)
		}
	})
	return own, settings, every
}

// ownTitles returns the titles of the command's own groups of flags, in the order of the flags.
func ownTitles(cmd *cobra.Command) (titles []string) {
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		for _, title := range flag.Annotations[config.InGroup] {
			if !slices.Contains(config.AllGroups, title) && !slices.Contains(titles, title) {
				titles = append(titles, title)
			}
		}
	})
	return titles
}

func newHelpSet() *pflag.FlagSet {
	fs := pflag.NewFlagSet("help", pflag.ContinueOnError)
	fs.SortFlags = false
	return fs
}

func printFlags(b *strings.Builder, title string, fs *pflag.FlagSet) {
	if fs != nil && fs.HasAvailableFlags() {
		fmt.Fprintf(b, "\n%s:\n%s", title, fs.FlagUsagesWrapped(helpWidth))
	}
}
