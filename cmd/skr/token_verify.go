package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"skr/internal/operator/verify"
)

// tokenVerifyCommand is an alias of skr verify that takes only tokens and release statements,
// and attests this machine if there is no file.
func tokenVerifyCommand(env environment, io streams) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:    "verify {FILE | --authority HOST}",
		Short:  "Verify an attestation token, or a vault's release statement",
		Long:   "Verifies a token or a release statement as skr verify does. Without FILE this machine is attested.",
		Args:   cobra.MaximumNArgs(1),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, args, env, io, func(ctx context.Context, v *verifier) (*verify.Verdict, error) {
				return v.signed(ctx, args)
			})
		},
	}
	o.bindOnly(cmd, "authority", "signing-keys", "policy", "vault")
	return cmd
}

func (v *verifier) signed(ctx context.Context, args []string) (*verify.Verdict, error) {
	source := tokenSource{v.authority, args, func() (*settings, *sidecar, error) { return v.settings, v.parts, nil }}
	found, err := source.read(ctx, v.in)
	if err != nil {
		return nil, err
	}
	switch verify.SubjectOf(found) {
	case verify.Statement:
		return v.statement(found)
	case verify.Token:
		return v.token(ctx, found)
	}
	return nil, &configError{fmt.Errorf("only a whole attestation token or release statement can be verified; this is: %s", found)}
}
