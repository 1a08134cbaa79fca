package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/measure"
	"skr/internal/operator/rollout"
)

// planOptions are the flags of skrctl rollout plan.
type planOptions struct {
	keys          config.List
	vault, output string
}

func rolloutPlanCommand(streams cli.Streams) *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan OLD NEW [--key NAME --vault HOST]",
		Short: "Print the steps from one deployment file to another",
		Long: "Measures the pods of both files and prints the steps with their commands: allow the new measurements, deploy,\n" +
			"retire the old ones. The files are as for skrctl measure: manifests, the output of helm template, ARM templates\n" +
			"(also those that bicep build writes) and their parameters. It asks no service.",
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error { return printPlan(args[0], args[1], o, streams) },
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().Var(&o.keys, "key", "keys that the pods use; KEY stands in the commands if empty")
	cmd.Flags().StringVar(&o.vault, "vault", "", "vault of the keys; VAULT stands in the commands if empty")
	cli.OutputFlag(cmd, &o.output)
	return cmd
}

func printPlan(old, next string, o planOptions, streams cli.Streams) error {
	if err := cli.CheckOutput(o.output); err != nil {
		return err
	}
	if err := cli.OneStandardInput(old, next); err != nil {
		return err
	}
	files := rollout.Files{NewPath: next, Vault: o.vault, Keys: o.keys}
	for _, side := range []struct {
		path string
		into *[]measure.Policy
	}{{old, &files.Old}, {next, &files.New}} {
		policies, err := readWorkload(side.path, streams)
		if err != nil {
			return cli.BadUsage(err)
		}
		*side.into = policies
	}
	plan := rollout.NewPlan(files)
	if o.output == "json" {
		return json.NewEncoder(streams.Out).Encode(plan)
	}
	return writePlan(plan, streams.Out)
}

// writePlan prints a plan as text that a shell can run: all but the commands is a comment.
func writePlan(plan rollout.Plan, out io.Writer) error {
	var b strings.Builder
	for _, pod := range plan.Pods {
		switch {
		case pod.Before == pod.After:
			fmt.Fprintf(&b, "# %s: unchanged, %s\n", pod.Source, pod.After)
		case pod.Before == "":
			fmt.Fprintf(&b, "# %s: new, %s\n", pod.Source, pod.After)
		case pod.After == "":
			fmt.Fprintf(&b, "# %s: removed, %s\n", pod.Source, pod.Before)
		default:
			fmt.Fprintf(&b, "# %s: %s becomes %s\n", pod.Source, pod.Before, pod.After)
		}
	}
	if plan.IsEmpty() {
		b.WriteString("# nothing to do: both files have the same measurements\n")
	}
	for i, step := range plan.Steps {
		fmt.Fprintf(&b, "\n# %d. %s\n%s\n", i+1, step.Title, strings.Join(step.Commands, "\n"))
	}
	_, err := io.WriteString(out, b.String())
	return err
}
