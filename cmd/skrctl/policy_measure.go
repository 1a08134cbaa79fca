package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/operator/execpolicy"
	"skr/internal/operator/measure"
)

// policyMeasureCommand is the former name of `skrctl measure`.
func policyMeasureCommand(io cli.Streams) *cobra.Command {
	cmd := measureCommand(io)
	cmd.Hidden = true
	return cmd
}

func measureCommand(io cli.Streams) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "measure FILE...",
		Short: "Print the HOST_DATA of a workload",
		Long: "Prints the digest of each policy in the files, which is the claim x-ms-sevsnpvm-hostdata of the workload. FILE is\n" +
			"a Kubernetes manifest with a policy or initdata of Kata, or with the policy of a virtual node; an ARM template,\n" +
			"its parameter file or a container group with ccePolicy; or such a policy as text or base64; - is standard input.\n" +
			"Notes on standard error say which signed fragments a policy admits: their contents change without the digest.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return printMeasured(args, output, io) },
	}
	cli.OutputFlag(cmd, &output)
	return cmd
}

// measured is the digest of a policy in a file.
type measured struct {
	HostData string         `json:"hostdata"`
	File     string         `json:"file"`
	Source   string         `json:"source"`
	Imports  []importedRule `json:"imports,omitempty"`
}

// importedRule is an import of a policy, with a sentence about what it admits.
type importedRule struct {
	execpolicy.Import

	Meaning string `json:"meaning"`
}

func describeImports(all []execpolicy.Import) []importedRule {
	rules := make([]importedRule, len(all))
	for i, rule := range all {
		rules[i] = importedRule{rule, rule.String()}
	}
	return rules
}

func printMeasured(paths []string, output string, streams cli.Streams) error {
	if err := cli.CheckOutput(output); err != nil {
		return err
	}
	if err := cli.OneStandardInput(paths...); err != nil {
		return err
	}
	var all []measured
	for _, path := range paths {
		digests, err := measureFile(path, streams)
		if err != nil {
			return err
		}
		all = append(all, digests...)
	}
	if output == "json" {
		return json.NewEncoder(streams.Out).Encode(all)
	}
	for _, m := range all {
		source := m.Source
		if len(paths) > 1 {
			source = m.File + ": " + source
		}
		if _, err := fmt.Fprintf(streams.Out, "%s  %s\n", m.HostData, source); err != nil {
			return err
		}
	}
	return nil
}

func measureFile(path string, streams cli.Streams) ([]measured, error) {
	policies, err := readWorkload(path, streams)
	if err != nil {
		return nil, cli.BadUsage(err)
	}
	all := make([]measured, len(policies))
	for i, p := range policies {
		all[i] = measured{p.Digest(), path, p.Source(), describeImports(p.Imports())}
		noteImports(path, p, streams.Err)
	}
	return all, nil
}

// noteImports says what a policy admits by the fragments that it imports.
func noteImports(path string, p measure.Policy, out io.Writer) {
	for _, rule := range p.Imports() {
		_, _ = fmt.Fprintf(out, "skrctl: note: %s: %s: this policy %s\n", path, p.Source(), rule) // nowhere else to say it
	}
}

// readWorkload returns the policies in a deployment file. It prints warnings about them.
func readWorkload(path string, streams cli.Streams) ([]measure.Policy, error) {
	data, err := cli.ReadInput(path, maxWorkloadFile, streams.In)
	if err != nil {
		return nil, err
	}
	policies, err := measure.Read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, p := range policies {
		for _, text := range p.Warnings() {
			_, _ = fmt.Fprintf(streams.Err, "skrctl: warning: %s: %s\n", path, text) // a warning that cannot be printed is lost
		}
	}
	return policies, nil
}
