package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/inspect"
)

func reportCommand(env config.Environment, io cli.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Show or verify a report and its endorsements",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(reportShowCommand(io), reportVerifyCommand(env, io))
	return cmd
}

func reportShowCommand(io cli.Streams) *cobra.Command {
	var view viewOptions
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Print each field of a report with its meaning",
		Long: "Shows a report, its certificates, or a UVM endorsement, in any form that skrctl show accepts. FILE may be - for\n" +
			"standard input. In a pod, `skr attest raw` prints a report.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := view.check(); err != nil {
				return err
			}
			if len(args) == 0 {
				return needsFile(cmd, "skr attest raw")
			}
			artefact, err := readEvidenceFile(args[0], io.In)
			if err != nil {
				return err
			}
			return view.show(artefact, io.Out)
		},
	}
	view.bind(cmd)
	return cmd
}

func readEvidenceFile(path string, in io.Reader) (inspect.Artefact, error) {
	artefact, err := readArtefact(path, in)
	if err != nil {
		return artefact, err
	}
	if _, ok := artefact.Evidence(); !ok {
		return artefact, cli.BadUsage(fmt.Errorf("%s: this is not a report or an endorsement of one; it is: %s", path, artefact))
	}
	return artefact, nil
}
