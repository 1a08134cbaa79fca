package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/lint"
)

func policySuiteCommand(io cli.Streams) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "test FILE",
		Short: "Test a release policy with a table of tokens and expected results",
		Long: "Runs a table in YAML (policy, and cases with name, claims, issuer, released and reason; see docs/policies.md).\n" +
			"File names are relative to the table. Exit codes: 0 all results as expected, 3 some are not, 2 unreadable.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := cli.CheckOutput(output); err != nil {
				return err
			}
			return runSuite(args[0], output, io)
		},
	}
	cli.OutputFlag(cmd, &output)
	return cmd
}

func runSuite(path, output string, streams cli.Streams) error {
	data, err := cli.ReadInput(path, maxPolicyFile, streams.In)
	if err != nil {
		return cli.BadUsage(err)
	}
	suite, err := lint.ParseSuite(data)
	if err != nil {
		return cli.BadUsage(fmt.Errorf("%s: %w", path, err))
	}
	outcomes, err := suite.Run(func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(path), name)
		}
		return config.ReadBounded(name, maxClaimsFile)
	})
	if err != nil {
		return cli.BadUsage(err)
	}
	failed := 0
	for _, o := range outcomes {
		if !o.Passed {
			failed++
		}
	}
	if err := printOutcomes(outcomes, output, streams.Out); err != nil {
		return err
	}
	if failed > 0 {
		return &verdictError{fmt.Sprintf("%s: %d of %s failed", path, failed, cli.Plural(len(outcomes), "case"))}
	}
	return nil
}

func printOutcomes(outcomes []lint.Outcome, output string, out io.Writer) error {
	if output == "json" {
		return json.NewEncoder(out).Encode(struct {
			Cases []lint.Outcome `json:"cases"`
		}{outcomes})
	}
	for _, o := range outcomes {
		line := "ok    " + o.Name
		if !o.Passed {
			line = "FAIL  " + o.Name + ": " + o.Problem
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}
