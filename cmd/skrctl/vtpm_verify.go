package main

import (
	"context"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/verify"
)

// vtpmVerifyCommand is an alias of skrctl verify that accepts only boot evidence.
func vtpmVerifyCommand(env config.Environment, io cli.Streams) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify --policy FILE {FILE... | DIR}",
		Short: "Verify a measured boot against a policy",
		Long: "Verifies boot evidence like skrctl verify. In a pod, `skr attest combined` prints what to verify: the nonce of\n" +
			"its quote is the SHA-256 of --runtime-data.",
		Args:   cobra.ArbitraryArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, args, env, io, func(ctx context.Context, v *verifier) (*verify.Verdict, error) {
				if len(args) == 0 {
					return nil, needsFile(cmd, "skr attest combined")
				}
				artefact, err := readParts(args, v.in)
				if err != nil {
					return nil, err
				}
				return v.boot(ctx, artefact)
			})
		},
	}
	o.bindOnly(cmd, "policy", "nonce", "signature", "chain")
	_ = cmd.MarkFlagRequired("policy") // the flag exists
	return cmd
}
