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

// maxRepeated bounds how much of a mistaken argument an error repeats.
const maxRepeated = 80

// Misused is a command line that cannot be followed: what is wrong, and where help is.
func Misused(cmd *cobra.Command, format string, args ...any) error {
	return BadUsage(fmt.Errorf("%s; see `%s --help`", fmt.Sprintf(format, args...), cmd.CommandPath()))
}

// Moved is the annotation of a command that another program has. Its value is what to type.
const Moved = "moved"

// strict makes the command and those below it refuse what they do not understand, which
// cobra answers in part with help and exit code 0.
func strict(cmd *cobra.Command) {
	if cmd.Annotations[Moved] != "" {
		return
	}
	cmd.SetFlagErrorFunc(unknownFlag)
	takes := cmd.Args
	switch {
	case !cmd.HasSubCommands():
		cmd.Args = func(cmd *cobra.Command, args []string) error { return checkArguments(cmd, args, takes) }
	case cmd.HasParent():
		cmd.Args, cmd.RunE = cobra.ArbitraryArgs, unknownCommand
	default: // without a command the program serves
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownCommand(cmd, args)
		}
	}
	for _, child := range cmd.Commands() {
		strict(child)
	}
}

// unknownCommand is the answer of a command that only holds others.
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

// NeedsCommand returns the error of a command that only holds others.
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

// elsewhere finds the commands of that name in other places: "verify" of a report.
func elsewhere(cmd *cobra.Command, name string) (paths []string) {
	for _, child := range cmd.Commands() {
		if child.Name() == name {
			paths = append(paths, child.CommandPath())
		}
		paths = append(paths, elsewhere(child, name)...)
	}
	return paths
}

// similar are the names that a person may have meant, by cobra's measure.
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

// checkArguments refuses flags that are missing, and arguments that takes refuses.
func checkArguments(cmd *cobra.Command, args []string, takes cobra.PositionalArgs) error {
	if missing := missingFlags(cmd); len(missing) > 0 {
		return Misused(cmd, "%s is needed", strings.Join(missing, " and "))
	}
	if takes == nil || takes(cmd, args) == nil {
		return nil
	}
	if len(args) > 0 && takes(cmd, nil) == nil {
		return Misused(cmd, "unknown argument %q: this is used as %q", secmem.Excerpt(args[len(args)-1], maxRepeated), cmd.UseLine())
	}
	return Misused(cmd, "%s were given: this is used as %q", Plural(len(args), "argument"), cmd.UseLine())
}

func missingFlags(cmd *cobra.Command) (missing []string) {
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if slices.Contains(flag.Annotations[cobra.BashCompOneRequiredFlag], "true") && !flag.Changed {
			missing = append(missing, "--"+flag.Name)
		}
	})
	return missing
}

// unknownFlag says what is wrong with a flag in place of pflag, whose texts repeat names
// of Go's packages. An unknown command before the flag matters more.
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

// absentFlag says what stands in the place of a flag that the command does not have.
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

// wanted is what the flag takes. Values with a form of their own tell it themselves.
func wanted(wrong *pflag.InvalidValueError) string {
	switch wrong.GetFlag().Value.Type() {
	case "int":
		return "it takes a whole number"
	case "float64":
		return "it takes a number"
	case "duration":
		return "it takes a time such as 30s or 5m"
	case "bool":
		return "it takes true or false"
	}
	return wrong.Unwrap().Error()
}

// helpCommand is `skr help COMMAND`, which cobra's own ends with exit code 0 when there
// is no such command.
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

func Plural(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}

// NoEmptyFlags refuses flags that are there and empty, as of a variable that is not set: what
// they ask for would not be looked at.
func NoEmptyFlags(cmd *cobra.Command) error {
	var empty error
	cmd.LocalNonPersistentFlags().VisitAll(func(flag *pflag.Flag) {
		if flag.Changed && flag.Name != "at" && flag.Value.String() == "" {
			empty = errors.Join(empty, fmt.Errorf("--%s: it is empty; leave it out if you do not ask for it", flag.Name))
		}
	})
	if empty != nil {
		return BadUsage(empty)
	}
	return nil
}
