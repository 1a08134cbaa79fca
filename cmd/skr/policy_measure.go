package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"skr/internal/operator/measure"
)

func policyMeasureCommand(io streams) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "measure FILE...",
		Short: "Print the HOST_DATA that a workload will have",
		Long: "Prints the digest of each policy in the files: the claim x-ms-sevsnpvm-hostdata of what they deploy. FILE is a\n" +
			"Kubernetes manifest with a policy or initdata of Kata, or the policy of a virtual node, an ARM template, its\n" +
			"parameter file or a container group with ccePolicy, or such a policy itself, as text or base64; - is standard input.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return printMeasured(args, output, io) },
	}
	outputFlag(cmd, &output)
	return cmd
}

// measured is a policy in a file.
type measured struct {
	HostData string `json:"hostdata"`
	File     string `json:"file"`
	Source   string `json:"source"`
}

func printMeasured(paths []string, output string, streams streams) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	if err := oneStandardInput(paths...); err != nil {
		return err
	}
	var all []measured
	for _, path := range paths {
		found, err := measureFile(path, streams)
		if err != nil {
			return err
		}
		all = append(all, found...)
	}
	if output == "json" {
		return json.NewEncoder(streams.out).Encode(all)
	}
	for _, m := range all {
		source := m.Source
		if len(paths) > 1 {
			source = m.File + ": " + source
		}
		if _, err := fmt.Fprintf(streams.out, "%s  %s\n", m.HostData, source); err != nil {
			return err
		}
	}
	return nil
}

func measureFile(path string, streams streams) ([]measured, error) {
	policies, err := readWorkload(path, streams)
	if err != nil {
		return nil, &configError{err}
	}
	all := make([]measured, len(policies))
	for i, p := range policies {
		all[i] = measured{p.Digest(), path, p.Source()}
	}
	return all, nil
}

// readWorkload finds the policies in what is deployed, and warns of what may be wrong
// with them.
func readWorkload(path string, streams streams) ([]measure.Policy, error) {
	data, err := readInput(path, maxWorkloadFile, streams.in)
	if err != nil {
		return nil, err
	}
	policies, err := measure.Read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, p := range policies {
		for _, text := range p.Warnings() {
			_, _ = fmt.Fprintf(streams.err, "skr: warning: %s: %s\n", path, text) // nowhere else to say it
		}
	}
	return policies, nil
}
