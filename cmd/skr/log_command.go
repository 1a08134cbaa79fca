package main

import (
	"io"

	"github.com/spf13/cobra"
)

// commandLog is the log of a command that asks once and ends. Unless the settings say
// otherwise it goes to standard error, as text, and holds only what went wrong.
func (s *settings) commandLog(stderr io.Writer) (*processLog, error) {
	quiet := *s
	if s.origins["log_level"] == "" {
		quiet.LogLevel = "warn"
	}
	if s.origins["log_format"] == "" {
		quiet.LogFormat = "text"
	}
	return openLog(&quiet, stderr)
}

// serves are the commands that log for themselves as long as they run.
var serves = map[string]bool{"skr": true, "skr serve": true, "skr agent": true}

// logged makes the command and those below it honour the settings of the log: each says
// that it runs, at the level debug, and with log_file also why it failed.
func logged(cmd *cobra.Command, env environment, io streams) {
	if run := cmd.RunE; run != nil && !serves[cmd.CommandPath()] {
		cmd.RunE = func(cmd *cobra.Command, args []string) error { return runLogged(cmd, args, run, env, io) }
	}
	for _, child := range cmd.Commands() {
		logged(child, env, io)
	}
}

func runLogged(cmd *cobra.Command, args []string, run func(*cobra.Command, []string) error, env environment, io streams) error {
	if err := checkLogFlags(cmd); err != nil {
		return err
	}
	s, _, err := load(cmd.Flags(), env)
	if err != nil {
		return run(cmd, args) // a command that needs the configuration refuses it
	}
	log, err := s.commandLog(io.err)
	if err != nil {
		return err
	}
	defer log.close()
	log.Debug("running", "command", cmd.CommandPath(), "version", version())
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
		return misused(cmd, "--log-level: %q is none of debug, info, warn, error", level.Value)
	}
	if word := format.Value.String(); word != "json" && word != "text" {
		return misused(cmd, "--log-format: %q is none of json, text", word)
	}
	return nil
}
