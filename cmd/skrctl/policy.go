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
	maxWorkloadFile = 32 << 20 // manifests may contain policies with hundreds of layers
	maxClaimsFile   = 2 << 20  // a token, or its claims
)

func policyCommand(env config.Environment, io cli.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Write, check, compare and explain release policies",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(policyNewCommand(env, io), policyMeasureCommand(io), policyCheckCommand(env, io),
		policyExplainCommand(env, io), policyDiffCommand(io), policySuiteCommand(io))
	return cmd
}

// verdictError is the error of a command that ran and found a negative result. Its exit code is 3, so
// that a pipeline stops.
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

// parsePlatform parses --platform, which is optional.
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

// liveFlag adds --live of older versions. Its error says what to do instead.
func liveFlag(flags *pflag.FlagSet, asked *bool) {
	flags.BoolVar(asked, "live", false, "always refused")
	_ = flags.MarkHidden("live") // the flag exists
}
