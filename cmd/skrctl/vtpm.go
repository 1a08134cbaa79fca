package main

import (
	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
)

func vtpmCommand(env config.Environment, io cli.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vtpm",
		Short: "Show or verify the measured boot of an Azure VM with a virtual TPM",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(vtpmShowCommand(io), vtpmVerifyCommand(env, io))
	return cmd
}

func vtpmShowCommand(io cli.Streams) *cobra.Command {
	var view viewOptions
	cmd := &cobra.Command{
		Use:   "show {FILE... | DIR}",
		Short: "Print PCRs, secure boot, event log, HCL claims and certificates",
		Long: "Prints HCL reports, quotes, PCR values, event logs and certificates of attestation keys, also inside JSON, with\n" +
			"their meaning. Nothing is verified. A FILE may be - for standard input. In a pod,\n" +
			"`skr attest combined` prints what to show.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := view.check(); err != nil {
				return err
			}
			if len(args) == 0 {
				return needsFile(cmd, "skr attest combined")
			}
			artefact, err := readParts(args, io.In)
			if err != nil {
				return err
			}
			return view.show(artefact, io.Out)
		},
	}
	view.bind(cmd)
	return cmd
}
