package main

import (
	"context"

	"github.com/spf13/cobra"

	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
)

// reportVerifyCommand is an alias of skr verify that takes only reports, and asks this machine
// if there is no file.
func reportVerifyCommand(env environment, io streams) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:    "verify [FILE]",
		Short:  "Verify a report with its certificates, data and endorsement",
		Long:   "Verifies a report as skr verify does. Without FILE this machine is asked.",
		Args:   cobra.MaximumNArgs(1),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, args, env, io, func(ctx context.Context, v *verifier) (*verify.Verdict, error) {
				given, err := v.reportGiven(ctx, args)
				if err != nil {
					return nil, err
				}
				return v.evidence(ctx, given)
			})
		},
	}
	o.bindOnly(cmd, "chain", "runtime-data")
	return cmd
}

func (v *verifier) reportGiven(ctx context.Context, args []string) (verify.Given, error) {
	if len(args) == 0 {
		return v.parts.ownEvidence(ctx)
	}
	found, err := readEvidenceFile(args[0], v.in)
	return givenOf(found), err
}

// ownEvidence returns a report of this machine with its security context.
func (p *sidecar) ownEvidence(ctx context.Context) (verify.Given, error) {
	p.tellMachine()
	evidence, err := p.freshReport(ctx)
	if err != nil {
		return verify.Given{}, err
	}
	return verify.Given{
		Evidence: inspect.Evidence{
			Report: evidence.Report, RuntimeData: evidence.Bound(), InitTimeData: p.context.Policy, Endorsement: p.context.Endorsement,
		},
		Parts: append([]inspect.Part{{Kind: inspect.Report}}, p.unusableParts()...),
	}, nil
}

// unusableParts returns the parts of the security context that cannot be read. They fail a
// verification, because nothing looked at them.
func (p *sidecar) unusableParts() []inspect.Part {
	var parts []inspect.Part
	for _, err := range []error{p.context.DirectoryErr, p.context.PolicyErr, p.context.HostCertificateErr, p.context.EndorsementErr} {
		if err != nil {
			parts = append(parts, inspect.Part{Path: securityContext, Err: err})
		}
	}
	return parts
}
