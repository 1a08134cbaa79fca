package main

import (
	"strings"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/sidecar"
)

func serveCommand(env config.Environment, io cli.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Serve the local API (the default)",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return serve(cmd, env, io) },
	}
}

// serve serves until the context ends, for example on SIGTERM.
func serve(cmd *cobra.Command, env config.Environment, io cli.Streams) error {
	s, _, err := config.Load(cmd.Flags(), env)
	if err != nil {
		return err
	}
	log, err := cli.OpenLog(s, io.Err)
	if err != nil {
		return s.Origins.Explain(err)
	}
	defer log.Close()
	cli.Harden(log.Logger)
	return s.Origins.Explain(sidecar.Serve(cmd.Context(), s, env, log.Logger, log.Audit))
}

// oneShot assembles the parts for a command that runs once. Faults of optional parts matter only
// to commands that use this machine: see Parts.WarnOfMachine.
func oneShot(cmd *cobra.Command, env config.Environment, io cli.Streams) (*config.Settings, *sidecar.Parts, error) {
	s, _, err := config.Load(cmd.Flags(), env)
	if err != nil {
		return nil, nil, err
	}
	parts, err := assembleOnce(s, io)
	return s, parts, err
}

// assembleOnce assembles the parts with settings that are loaded.
func assembleOnce(s *config.Settings, io cli.Streams) (*sidecar.Parts, error) {
	if s.RequestTimeout <= s.FleetWindow { // the command would end before its turn
		s.FleetWindow, s.FleetInTurn = 0, false
	}
	log, err := cli.CommandLog(s, io.Err)
	if err != nil {
		return nil, err
	}
	cli.Harden(log.Logger)
	parts, err := sidecar.Assemble(s, nil, log.Logger)
	return parts, s.Origins.Explain(err)
}

// baseURL returns the URL of the listener for a client on this machine.
func baseURL(listen string) string {
	if strings.HasPrefix(listen, "unix:") {
		return listen
	}
	return "http://" + listen
}
