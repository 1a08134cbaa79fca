package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"skr/internal/operator/lint"
	"skr/internal/refusal"
	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

const (
	maxWorkloadFile = 32 << 20 // manifests with policies of hundreds of layers
	maxClaimsFile   = 2 << 20  // a token, or its claims
)

func policyCommand(env environment, io streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Write, check, compare and explain release policies",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(policyNewCommand(env, io), policyMeasureCommand(io), policyCheckCommand(env, io),
		policyExplainCommand(env, io), policyDiffCommand(io), policySuiteCommand(io))
	return cmd
}

// verdictError ends a command that did what was asked and found that the answer is
// no, so that a pipeline stops: exit code 3.
type verdictError struct{ text string }

func (e *verdictError) Error() string { return e.text }
func (e *verdictError) Unwrap() error { return refusal.ReleaseRejected }

// readInput reads a file, or standard input for "-".
func readInput(path string, limit int64, in io.Reader) ([]byte, error) {
	if path != "-" {
		return readBounded(path, limit)
	}
	data, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("standard input is larger than %d bytes", limit)
	}
	return data, err
}

func readDocument(path string, in io.Reader) (lint.Document, error) {
	data, err := readInput(path, maxPolicyFile, in)
	if err != nil {
		return lint.Document{}, &configError{err}
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return lint.Document{}, &configError{fmt.Errorf("%s: the file is empty", path)}
	}
	document, err := lint.Open(data)
	if err != nil {
		return document, &configError{fmt.Errorf("%s: %w", path, err)}
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
		return nil, &configError{fmt.Errorf("%s: %w", path, err)}
	}
	return policy, nil
}

// oneStandardInput refuses two files from one stream.
func oneStandardInput(paths ...string) error {
	seen := false
	for _, path := range paths {
		if path == "-" && seen {
			return &configError{errors.New("only one file can be standard input")}
		}
		seen = seen || path == "-"
	}
	return nil
}

// parsePlatform reads --platform, which may be left out.
func parsePlatform(name string) (claims.Platform, error) {
	if name == "" {
		return "", nil
	}
	platform, err := claims.ParsePlatform(name)
	if err != nil {
		return "", &configError{fmt.Errorf("--platform: %w", err)}
	}
	return platform, nil
}
