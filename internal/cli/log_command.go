package cli

import (
	"io"
	"slices"

	"github.com/spf13/cobra"

	"skr/internal/config"
	"skr/internal/sbom"
)

// CommandLog is the log of a command that asks once and ends. Unless the settings say
// otherwise it goes to standard error, as text, and holds only what went wrong.
func CommandLog(s *config.Settings, stderr io.Writer) (*processLog, error) {
	quiet := *s
	if s.Origins["log_level"] == "" {
		quiet.LogLevel = "warn"
	}
	if s.Origins["log_format"] == "" {
		quiet.LogFormat = "text"
	}
	return OpenLog(&quiet, stderr)
}

// logged makes the command and those below it honour the settings of the log: each says
// that it runs, at the level debug, and with log_file also why it failed.
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
		return run(cmd, args) // a command that needs the configuration refuses it
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

// checkLogFlags refuses what a command that needs no configuration would not look at.
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
