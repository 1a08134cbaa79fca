package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/releasepolicy"
)

func policyDiffCommand(io cli.Streams) *cobra.Command {
	var output string
	var workloads bool
	cmd := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "Show how two release policies differ in meaning",
		Long: "Compares the conditions of policies, not their order, spelling or nesting. The files are as for skrctl policy check.\n" +
			"With --workload, they are deployment files, as for skrctl measure, and the command compares what their execution\n" +
			"policies admit. A warning says where a signed fragment would have kept the hash: docs/fragments.md.\n" +
			"Exit codes: 0 the same tokens meet both, 3 the policies differ, 2 unreadable.",
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := cli.CheckOutput(output); err != nil {
				return err
			}
			if workloads {
				return diffWorkloads(args[0], args[1], output, io)
			}
			return diffPolicies(args[0], args[1], output, io)
		},
	}
	cmd.Flags().BoolVar(&workloads, "workload", false, "compare the execution policies of deployment files")
	cli.OutputFlag(cmd, &output)
	return cmd
}

func diffPolicies(before, after, output string, streams cli.Streams) error {
	if err := cli.OneStandardInput(before, after); err != nil {
		return err
	}
	a, err := readPolicy(before, streams.In)
	if err != nil {
		return err
	}
	b, err := readPolicy(after, streams.In)
	if err != nil {
		return err
	}
	changes := releasepolicy.Diff(a, b)
	if err := printChanges(changes, output, streams.Out); err != nil {
		return err
	}
	if len(changes) > 0 {
		return &verdictError{"the policies differ: " + cli.Plural(len(changes), "change")}
	}
	return nil
}

func printChanges(changes []releasepolicy.Change, output string, out io.Writer) error {
	if output == "json" {
		if changes == nil {
			changes = []releasepolicy.Change{}
		}
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		return e.Encode(struct {
			Equal   bool                   `json:"equal"`
			Changes []releasepolicy.Change `json:"changes"`
		}{len(changes) == 0, changes})
	}
	authority := ""
	for _, c := range changes {
		if c.Authority != authority {
			authority = c.Authority
			if _, err := fmt.Fprintf(out, "authority %s\n", authority); err != nil {
				return err
			}
		}
		if err := printChange(c, out); err != nil {
			return err
		}
	}
	return nil
}

func printChange(c releasepolicy.Change, out io.Writer) error {
	for _, side := range []struct{ mark, text string }{{"-", c.Before}, {"+", c.After}} {
		if side.text == "" {
			continue
		}
		if _, err := fmt.Fprintf(out, "%s %s\n", side.mark, side.text); err != nil {
			return err
		}
	}
	return nil
}
