package main

import (
	"bytes"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/lint"
	"skr/internal/refusal"
	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

const (
	maxWorkloadFile = 32 << 20 // manifests with policies of hundreds of layers
	maxClaimsFile   = 2 << 20  // a token, or its claims
)

func policyCommand(env config.Environment, io cli.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Write, check, compare and explain release policies",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(policyNewCommand(io), policyMeasureCommand(io), policyCheckCommand(env, io),
		policyExplainCommand(env, io), policyDiffCommand(io), policySuiteCommand(io))
	return cmd
}

// verdictError ends a command that did what was asked and found that the answer is
// no, so that a pipeline stops: exit code 3.
type verdictError struct{ text string }

func (e *verdictError) Error() string { return e.text }
func (e *verdictError) Unwrap() error { return refusal.ReleaseRejected }

func readDocument(path string, in io.Reader) (lint.Document, error) {
	data, err := cli.ReadInput(path, maxPolicyFile, in)
	if err != nil {
		return lint.Document{}, cli.BadUsage(err)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return lint.Document{}, cli.BadUsage(fmt.Errorf("%s: the file is empty", path))
	}
	document, err := lint.Open(data)
	if err != nil {
		return document, cli.BadUsage(fmt.Errorf("%s: %w", path, err))
	}
	return document, nil
}

func readPolicy(path string, in io.Reader) (*releasepolicy.Policy, error) {
	document, err := readDocument(path, in)
	if err != nil {
		return nil, err
	}
	policy, err := releasepolicy.Parse(document.Text)
	if err != nil {
		return nil, cli.BadUsage(fmt.Errorf("%s: %w", path, err))
	}
	return policy, nil
}

// parsePlatform reads --platform, which may be left out.
func parsePlatform(name string) (claims.Platform, error) {
	if name == "" {
		return "", nil
	}
	platform, err := claims.ParsePlatform(name)
	if err != nil {
		return "", cli.BadUsage(fmt.Errorf("--platform: %w", err))
	}
	return platform, nil
}

// liveFlag adds the flag that older versions took, for an answer that says what to do in its place.
func liveFlag(flags *pflag.FlagSet, asked *bool) {
	flags.BoolVar(asked, "live", false, "is refused")
	_ = flags.MarkHidden("live") // the flag is there
}
