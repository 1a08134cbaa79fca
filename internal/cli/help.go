package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"skr/internal/config"
)

// helpWidth is the column at which help wraps: the usual width of a terminal.
const helpWidth = 80

const settingsNote = `
Settings may also be in the file of --config, as a_b, and in the
environment, as SKR_A_B.
`

// FormatHelp makes the commands of root print their flags by group, and wrap help at 80 columns.
func FormatHelp(root *cobra.Command) {
	root.SetUsageFunc(printUsage)
	root.SetHelpFunc(printHelp)
}

// printHelp prints what the command does, and how to use it.
func printHelp(cmd *cobra.Command, _ []string) {
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	cmd.InheritedFlags() // merges the flags of the root command, as cobra's own help does
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n\n%s", reflow(text, helpWidth), cmd.UsageString()); err != nil {
		cmd.PrintErrln(err)
	}
}

// printUsage prints the part of help below the description: how to use the command, its
// subcommands, and its flags by group.
func printUsage(cmd *cobra.Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage:\n  %s\n", hang(usageLine(cmd), 6, helpWidth))
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\nCommands:\n")
		for _, child := range cmd.Commands() {
			if child.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-12s %s\n", child.Name(), hang(child.Short, 15, helpWidth))
			}
		}
	}
	own, settings, every := flagsByGroup(cmd)
	printFlags(&b, "Flags", own)
	for _, title := range ownTitles(cmd) {
		printFlags(&b, title, settings[title])
	}
	printSettingsNote(&b, cmd)
	for _, g := range config.AllGroups {
		printFlags(&b, g, settings[g])
	}
	printFlags(&b, config.Logging, every)
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\nSee `%s COMMAND --help` for more about a command.\n", cmd.CommandPath())
	}
	_, err := fmt.Fprint(cmd.OutOrStderr(), b.String())
	return err
}

// usageLine returns the use of a command. One that only holds other commands needs one of them.
func usageLine(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() && cmd.HasParent() {
		return cmd.CommandPath() + " COMMAND"
	}
	return cmd.UseLine()
}

// printSettingsNote prints where else the settings below may be, if the command has any.
func printSettingsNote(b *strings.Builder, cmd *cobra.Command) {
	if len(config.Uses[cmd.CommandPath()]) == 0 {
		return
	}
	b.WriteString(settingsNote)
	if root := cmd.Root(); slices.Contains(namesOf(root), "config") {
		fmt.Fprintf(b, "`%s config` prints the values that apply.\n", root.Name())
	}
}

// flagsByGroup separates the flags of the command from settings and from the flags that every
// command has. The order is that in which they were added.
func flagsByGroup(cmd *cobra.Command) (own *pflag.FlagSet, settings map[string]*pflag.FlagSet, every *pflag.FlagSet) {
	own, every = newHelpSet(), newHelpSet()
	settings = make(map[string]*pflag.FlagSet)
	cmd.Flags().SortFlags = false
	persistent := cmd.Root().PersistentFlags()
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		title := flag.Annotations[config.InGroup]
		switch {
		case persistent.Lookup(flag.Name) != nil || flag.Name == "help":
			every.AddFlag(printed(flag))
		case len(title) == 0:
			own.AddFlag(printed(flag))
		default:
			if settings[title[0]] == nil {
				settings[title[0]] = newHelpSet()
			}
			settings[title[0]].AddFlag(printed(flag))
		}
	})
	return own, settings, every
}

// printed returns the flag for help. Otherwise pflag adds [=true|false] to each boolean flag.
func printed(flag *pflag.Flag) *pflag.Flag {
	if flag.Value.Type() != "bool" {
		return flag
	}
	c := *flag
	c.Value = plainValue{flag.Value}
	return &c
}

// plainValue hides the method by which pflag recognises boolean flags.
type plainValue struct{ pflag.Value }

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
		fmt.Fprintf(b, "\n%s:\n%s", title, breakLists(fs.FlagUsagesWrapped(helpWidth), helpWidth))
	}
}
