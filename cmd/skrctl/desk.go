package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"skr/attest"
	"skr/internal/azure/outbound"
	"skr/internal/cli"
	"skr/internal/config"
)

// desk holds what a command of the operator needs: the settings, and clients of the services that
// they name.
type desk struct {
	settings *config.Settings
	out      *outbound.Clients
}

func openDesk(cmd *cobra.Command, env config.Environment, io cli.Streams) (*desk, error) {
	s, _, err := config.Load(cmd.Flags(), env)
	if err != nil {
		return nil, err
	}
	log, err := cli.CommandLog(s, io.Err)
	if err != nil {
		return nil, err
	}
	cli.Harden(log.Logger)
	s.LogWarnings(log.Logger)
	out, err := outbound.New(s, nil)
	if err != nil {
		return nil, s.Origins.Explain(config.WrongSetting(err))
	}
	return &desk{s, out}, nil
}

// authorities returns the allow-list of attestation services.
func (d *desk) authorities() (*attest.Authorities, error) {
	allowed, err := attest.ParseAuthorities(d.settings.MAAAllow)
	if err != nil {
		return nil, d.settings.Origins.Explain(config.WrongSetting(fmt.Errorf("maa_allow: %w", err)))
	}
	return allowed, nil
}

// names completes short names by the settings.
func (d *desk) names() names { return namesFor(d.settings) }

// needsFile returns the error for a missing FILE. It names the command that prints such a file in a
// pod.
func needsFile(cmd *cobra.Command, makes string) error {
	return cli.Misused(cmd, "FILE is needed; in a pod, %q prints what to pass", makes)
}
