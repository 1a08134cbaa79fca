package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/verify"
)

// tokenVerifyCommand is an alias of skrctl verify that accepts only tokens and release statements.
func tokenVerifyCommand(env config.Environment, io cli.Streams) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:    "verify FILE",
		Short:  "Verify an attestation token, or a vault's release statement",
		Long:   "Verifies a token or a release statement like skrctl verify. In a pod, `skr attest maa` prints a token.",
		Args:   cobra.MaximumNArgs(1),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, args, env, io, func(ctx context.Context, v *verifier) (*verify.Verdict, error) {
				if len(args) == 0 {
					return nil, needsFile(cmd, "skr attest maa")
				}
				return v.signed(ctx, args[0])
			})
		},
	}
	o.bindOnly(cmd, "authority", "signing-keys", "policy", "vault")
	return cmd
}

func (v *verifier) signed(ctx context.Context, path string) (*verify.Verdict, error) {
	artefact, err := readTokenFile(path, v.in)
	if err != nil {
		return nil, err
	}
	switch verify.SubjectOf(artefact) {
	case verify.Statement:
		return v.statement(artefact)
	case verify.Token:
		return v.token(ctx, artefact)
	}
	return nil, cli.BadUsage(fmt.Errorf("only a whole attestation token or release statement can be verified; this is: %s", artefact))
}
