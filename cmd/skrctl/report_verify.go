package main

import (
	"context"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/verify"
)

// reportVerifyCommand is an alias of skrctl verify that accepts only reports.
func reportVerifyCommand(env config.Environment, io cli.Streams) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:    "verify FILE",
		Short:  "Verify a report with its certificates, data and endorsement",
		Long:   "Verifies a report like skrctl verify. In a pod, `skr attest combined` prints what to verify.",
		Args:   cobra.MaximumNArgs(1),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, args, env, io, func(ctx context.Context, v *verifier) (*verify.Verdict, error) {
				if len(args) == 0 {
					return nil, needsFile(cmd, "skr attest combined")
				}
				artefact, err := readEvidenceFile(args[0], v.in)
				if err != nil {
					return nil, err
				}
				return v.evidence(ctx, givenOf(artefact))
			})
		},
	}
	o.bindOnly(cmd, "chain", "runtime-data")
	return cmd
}
