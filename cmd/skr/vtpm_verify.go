package main

import (
	"context"

	"github.com/spf13/cobra"

	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
)

// vtpmVerifyCommand is an alias of skr verify that takes only boot evidence, and asks this
// machine if there is no file.
func vtpmVerifyCommand(env environment, io streams) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:    "verify --policy FILE [FILE... | DIR]",
		Short:  "Verify a measured boot against a policy",
		Long:   "Verifies boot evidence as skr verify does. Without FILE this machine is asked, with a nonce of its own.",
		Args:   cobra.ArbitraryArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, args, env, io, func(ctx context.Context, v *verifier) (*verify.Verdict, error) {
				return v.boot(ctx, func() (inspect.Artefact, []byte, error) { return bootEvidence(ctx, args, v.parts, v.in) })
			})
		},
	}
	o.bindOnly(cmd, "policy", "nonce", "signature", "chain")
	_ = cmd.MarkFlagRequired("policy") // the flag is there
	return cmd
}
