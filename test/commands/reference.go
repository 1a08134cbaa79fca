package commands

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"skr/internal/config"
	"skr/test/reference"
)

// CheckReference compares the commands of the program, their help and their flags with
// docs/reference/commands.md. Hidden commands and flags are left out.
func CheckReference(t *testing.T, root *cobra.Command) {
	t.Helper()
	var text strings.Builder
	Walk(root, func(cmd *cobra.Command) {
		if !isHidden(cmd) && !strings.HasPrefix(cmd.CommandPath(), root.Name()+" completion ") {
			describe(t, &text, cmd)
		}
	})
	reference.Check(t, "docs/reference/commands.md", root.Name(), text.String())
}

func isHidden(cmd *cobra.Command) bool {
	for ; cmd != nil; cmd = cmd.Parent() {
		if cmd.Hidden {
			return true
		}
	}
	return false
}

func describe(t *testing.T, text *strings.Builder, cmd *cobra.Command) {
	t.Helper()
	if cmd.Short == "" {
		t.Errorf("%q has no description", cmd.CommandPath())
	}
	fmt.Fprintf(text, "### %s\n\n%s\n", reference.Code(cmd.CommandPath()), reference.Wrap(cmd.Short+".", ""))
	fmt.Fprintf(text, "\n```text\n%s\n```\n", strings.TrimSpace(usage(cmd)+"\n\n"+cmd.Long))
	var flags strings.Builder
	cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		persistent := cmd.HasParent() && cmd.Root().PersistentFlags().Lookup(flag.Name) != nil
		if !flag.Hidden && !persistent && !isSetting(flag) && flag.Name != "help" {
			flags.WriteString(describeFlag(flag))
		}
	})
	if flags.Len() > 0 {
		text.WriteString("\n" + flags.String())
	}
	if groups := config.Uses[cmd.CommandPath()]; len(groups) > 0 {
		fmt.Fprintf(text, "\n%s\n", reference.Wrap("Settings: "+links(groups)+".", ""))
	}
	text.WriteString("\n")
}

// usage returns the line of use. A command that only holds other commands needs one of them.
func usage(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() && cmd.HasParent() {
		return cmd.CommandPath() + " COMMAND"
	}
	return cmd.UseLine()
}

// isSetting reports whether the flag is a setting, which docs/reference/settings.md describes.
func isSetting(flag *pflag.Flag) bool {
	setting := new(config.Settings).Flags().Lookup(flag.Name)
	return setting != nil && setting.Usage == flag.Usage
}

func describeFlag(flag *pflag.Flag) string {
	value, usage := pflag.UnquoteUsage(flag)
	name := strings.TrimSpace("--" + flag.Name + " " + strings.ToUpper(value))
	if flag.Shorthand != "" {
		name = "-" + flag.Shorthand + ", " + name
	}
	line := fmt.Sprintf("- %s: %s", reference.Code(name), usage)
	switch flag.DefValue {
	case "", "false", "0", "0s", "[]":
	default:
		line += fmt.Sprintf(" (default %s)", reference.Code(flag.DefValue))
	}
	return reference.Wrap(line, "  ") + "\n"
}

// links returns links to the groups of settings.
func links(groups []string) string {
	if len(groups) == len(config.AllGroups) {
		return "[all](settings.md)"
	}
	var all []string
	for _, group := range groups {
		anchor := strings.ReplaceAll(strings.ToLower(group), " ", "-")
		all = append(all, fmt.Sprintf("[%s](settings.md#%s)", group, anchor))
	}
	return strings.Join(all, ", ")
}
