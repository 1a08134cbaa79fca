package cli

import (
	"io"
	"slices"

	"github.com/spf13/cobra"

	"skr/internal/config"
	"skr/internal/sbom"
)

// CommandLog opens the log of a command that runs once. By default it prints warnings and errors as
// text to standard error.
func CommandLog(s *config.Settings, stderr io.Writer) (*Log, error) {
	quiet := *s
	if s.Origins["log_level"] == "" {
		quiet.LogLevel = "warn"
	}
	if s.Origins["log_format"] == "" {
		quiet.LogFormat = "text"
	}
	return OpenLog(&quiet, stderr)
}

// logged makes the command and its subcommands use the settings of the log. Each logs that it runs,
// at level debug, and with log_file also why it failed.
func logged(cmd *cobra.Command, env config.Environment, io Streams, except []string) {
	if run := cmd.RunE; run != nil && cmd.Annotations[Moved] == "" && !slices.Contains(except, cmd.CommandPath()) {
		cmd.RunE = func(cmd *cobra.Command, args []string) error { return runLogged(cmd, args, run, env, io) }
	}
	for _, child := range cmd.Commands() {
		logged(child, env, io, except)
	}
}

func runLogged(cmd *cobra.Command, args []string, run func(*cobra.Command, []string) error, env config.Environment, io Streams) error {
	if err := checkLogFlags(cmd); err != nil {
		return err
	}
	s, _, err := config.Load(cmd.Flags(), env)
	if err != nil {
		return run(cmd, args) // a command that needs the configuration reports the error
	}
	log, err := CommandLog(s, io.Err)
	if err != nil {
		return err
	}
	defer log.Close()
	log.Debug("running", "command", cmd.CommandPath(), "version", sbom.Version())
	err = run(cmd, args)
	if err != nil && s.LogFile != "" {
		log.Error("failed", "command", cmd.CommandPath(), "error", err.Error())
	}
	return err
}

// checkLogFlags checks the flags of the log for commands that do not load the configuration.
func checkLogFlags(cmd *cobra.Command) error {
	level, format := cmd.Flag("log-level"), cmd.Flag("log-format")
	if _, err := logLevel(level.Value.String()); level.Changed && err != nil {
		return Misused(cmd, "--log-level: %q is none of debug, info, warn, error", level.Value)
	}
	if word := format.Value.String(); word != "json" && word != "text" {
		return Misused(cmd, "--log-format: %q is none of json, text", word)
	}
	return nil
}
