package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"skr/internal/config"
	"skr/internal/secmem"
)

// maxRepeated limits how much of a wrong argument an error repeats.
const maxRepeated = 80

// Misused returns an error that says what is wrong with a command line and where to find help.
func Misused(cmd *cobra.Command, format string, args ...any) error {
	return BadUsage(fmt.Errorf("%s; see `%s --help`", fmt.Sprintf(format, args...), cmd.CommandPath()))
}

// Moved is the annotation of a command that has moved to another program. Its value is what to type.
const Moved = "moved"

// Strict makes the command and its subcommands refuse unknown arguments. Cobra prints help for some
// of them and ends with exit code 0.
func Strict(cmd *cobra.Command) {
	if cmd.Annotations[Moved] != "" {
		return
	}
	cmd.SetFlagErrorFunc(unknownFlag)
	accepts := cmd.Args
	switch {
	case !cmd.HasSubCommands():
		cmd.Args = func(cmd *cobra.Command, args []string) error { return checkArguments(cmd, args, accepts) }
	case cmd.HasParent():
		cmd.Args, cmd.RunE = cobra.ArbitraryArgs, unknownCommand
	default: // without a command the program serves, or prints help
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownCommand(cmd, args)
		}
	}
	for _, child := range cmd.Commands() {
		Strict(child)
	}
}

// unknownCommand is the RunE of a command that only holds other commands.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return NeedsCommand(cmd)
	}
	meant := similar(args[0], namesOf(cmd))
	if len(meant) == 0 {
		meant = elsewhere(cmd.Root(), args[0])
	}
	return Misused(cmd, "unknown command %q for %q%s", secmem.Excerpt(args[0], maxRepeated), cmd.CommandPath(), didYouMean(meant))
}

// NeedsCommand returns the error of a command that only holds other commands.
func NeedsCommand(cmd *cobra.Command) error {
	return Misused(cmd, "%q needs a command: %s", cmd.CommandPath(), strings.Join(namesOf(cmd), ", "))
}

func namesOf(cmd *cobra.Command) (names []string) {
	for _, child := range cmd.Commands() {
		if child.IsAvailableCommand() {
			names = append(names, child.Name())
		}
	}
	return names
}

// elsewhere returns the paths of all commands with that name, such as "verify" of a report.
func elsewhere(cmd *cobra.Command, name string) (paths []string) {
	for _, child := range cmd.Commands() {
		if child.Name() == name {
			paths = append(paths, child.CommandPath())
		}
		paths = append(paths, elsewhere(child, name)...)
	}
	return paths
}

// similar returns the names that are close to what was typed, by the measure of cobra.
func similar(typed string, names []string) []string {
	known := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, name := range names {
		known.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	return known.SuggestionsFor(typed)
}

func didYouMean(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ": did you mean " + strings.Join(names, " or ") + "?"
}

// checkArguments refuses missing flags, and arguments that accepts refuses.
func checkArguments(cmd *cobra.Command, args []string, accepts cobra.PositionalArgs) error {
	if missing := missingFlags(cmd); len(missing) > 0 {
		return Misused(cmd, "%s is needed", strings.Join(missing, " and "))
	}
	if accepts == nil || accepts(cmd, args) == nil {
		return nil
	}
	if len(args) > 0 && accepts(cmd, nil) == nil {
		return Misused(cmd, "unknown argument %q; usage: %q", secmem.Excerpt(args[len(args)-1], maxRepeated), cmd.UseLine())
	}
	return Misused(cmd, "got %s; usage: %q", Plural(len(args), "argument"), cmd.UseLine())
}

func missingFlags(cmd *cobra.Command) (missing []string) {
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if slices.Contains(flag.Annotations[cobra.BashCompOneRequiredFlag], "true") && !flag.Changed {
			missing = append(missing, "--"+flag.Name)
		}
	})
	return missing
}

// unknownFlag rewrites errors of pflag, which contain names of Go packages. An unknown command before
// the flag matters more.
func unknownFlag(cmd *cobra.Command, err error) error {
	if before := cmd.Flags().Args(); cmd.HasSubCommands() && len(before) > 0 {
		return unknownCommand(cmd, before)
	}
	if wrong, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return Misused(cmd, "%s", absentFlag(cmd, wrong))
	}
	if wrong, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return Misused(cmd, "--%s: invalid value %q; %s", wrong.GetFlag().Name, secmem.Excerpt(wrong.GetValue(), maxRepeated), wanted(wrong))
	}
	if wrong, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return Misused(cmd, "--%s needs a value", wrong.GetFlag().Name)
	}
	return Misused(cmd, "%s", err)
}

// absentFlag describes a flag that the command does not have, and what may be meant.
func absentFlag(cmd *cobra.Command, wrong *pflag.NotExistError) string {
	name, written := wrong.GetSpecifiedName(), "--"
	if short := wrong.GetSpecifiedShortnames(); short != "" {
		name, written = short, "-"
	}
	text := fmt.Sprintf("unknown flag %q", written+secmem.Excerpt(name, maxRepeated))
	if new(config.Settings).Flags().Lookup(name) != nil && cmd.Flags().Lookup(name) == nil {
		return fmt.Sprintf("%s: %s does not use the setting %s", text, cmd.CommandPath(), config.FieldName(name))
	}
	var names []string
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if !flag.Hidden {
			names = append(names, flag.Name)
		}
	})
	meant := similar(name, names)
	for i := range meant {
		meant[i] = "--" + meant[i]
	}
	return text + didYouMean(meant)
}

// wanted describes the values that the flag accepts. Other types describe themselves in the error.
func wanted(wrong *pflag.InvalidValueError) string {
	switch wrong.GetFlag().Value.Type() {
	case "int":
		return "use a whole number"
	case "float64":
		return "use a number"
	case "duration":
		return "use a duration such as 30s or 5m"
	case "bool":
		return "use true or false"
	}
	return wrong.Unwrap().Error()
}

// helpCommand returns the command help. The one of cobra ends with exit code 0 for an unknown command.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND...]",
		Short: "Print the help of a command",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				if found == nil {
					found, rest = cmd.Root(), args
				}
				return unknownCommand(found, rest)
			}
			if found.Annotations[Moved] != "" {
				return found.RunE(found, nil)
			}
			found.InitDefaultHelpFlag()
			found.InitDefaultVersionFlag()
			return found.Help()
		},
	}
}

// Plural returns the number with the word, in the plural unless n is 1.
func Plural(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}

// NoEmptyFlags refuses flags with an empty value, for example of an unset variable: the check that
// they ask for would not be made.
func NoEmptyFlags(cmd *cobra.Command) error {
	var empty error
	cmd.LocalNonPersistentFlags().VisitAll(func(flag *pflag.Flag) {
		if flag.Changed && flag.Name != "at" && flag.Value.String() == "" {
			empty = errors.Join(empty, fmt.Errorf("--%s: the value is empty; leave the flag out if you do not need it", flag.Name))
		}
	})
	if empty != nil {
		return BadUsage(empty)
	}
	return nil
}
