// Package cli has what the command lines of skr and skrctl share: help and usage errors,
// exit codes, input and output files, logs of commands.
//
//	root := &cobra.Command{Use: "skrctl", …}
//	cli.Equip(root, env, io)
//	os.Exit(cli.Report("skrctl", os.Stderr, root.ExecuteContext(ctx)))
//
// Every error is one line, and its kind decides the exit code: see [ExitCode].
package cli

import (
	"io"

	"github.com/spf13/cobra"

	"skr/internal/config"
)

// Streams are the standard streams of the process.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Equip adds to the root command of a program what both programs have in common. The commands
// in logThemselves open the log themselves.
func Equip(root *cobra.Command, env config.Environment, io Streams, logThemselves ...string) {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.Flags().SortFlags = false
	root.Flags().Bool("version", false, "print the version")
	root.PersistentFlags().SortFlags = false
	root.PersistentFlags().String("config", "", "YAML file with settings")
	config.AddGroup(root.PersistentFlags(), config.Logging, new(config.Settings).Flags())
	root.SetIn(io.In)
	root.SetOut(io.Out)
	root.SetErr(io.Err)
	FormatHelp(root)
	root.SetHelpCommand(helpCommand())
	addSettings(root)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	Strict(root)
	logged(root, env, io, logThemselves)
}
