package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"skr/internal/check"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/lint"
)

func policyCheckCommand(env config.Environment, io cli.Streams) *cobra.Command {
	var platform, workload, output string
	var strict bool
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Find errors in a release policy",
		Long: "Finds conditions that give the key to other workloads, or to none. FILE is a policy, or a key with a policy, in\n" +
			"any form that az, the SDKs, templates and skr write; - is standard input. Exit codes: 0 no error, 3 errors,\n" +
			"2 unreadable.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			named, err := parsePlatform(platform)
			if err != nil {
				return err
			}
			if err := cli.CheckOutput(output); err != nil {
				return err
			}
			document, err := readDocument(args[0], io.In)
			if err != nil {
				return err
			}
			digests, open, err := hostDataOf(workload, args[0], io)
			if err != nil {
				return err
			}
			subject := lint.Subject{Platform: named, AllowAll: open, Workloads: digests, Immutable: document.Immutable}
			results := lint.Check(document.Text, subject)
			return printFindings(args[0], document.Source, results, strict, io.Out, cli.StyleFor(output, io.Out, env))
		},
	}
	cmd.Flags().StringVar(&platform, "platform", "", "aci, aks-kata, cvm, cvm-tdx or trusted-launch; guessed from the conditions if empty")
	cmd.Flags().StringVar(&workload, "workload", "",
		"deployment file, as for skrctl measure; checks that the policy names it, and that its own does not allow everything")
	cmd.Flags().BoolVar(&strict, "strict", false, "end with exit code 3 also for warnings")
	cli.OutputFlag(cmd, &output)
	return cmd
}

// hostDataOf returns the HOST_DATA of the workload's policies, and of those that allow everything.
func hostDataOf(workload, policy string, streams cli.Streams) (all, open []string, err error) {
	if workload == "" {
		return nil, nil, nil
	}
	if err := cli.OneStandardInput(workload, policy); err != nil {
		return nil, nil, err
	}
	policies, err := readWorkload(workload, streams)
	if err != nil {
		return nil, nil, cli.BadUsage(err)
	}
	for _, p := range policies {
		all = append(all, p.Digest())
		if p.AllowsEverything() {
			open = append(open, p.Digest())
		}
	}
	return all, open, nil
}

// checkReport is what skrctl policy check prints.
type checkReport struct {
	File     string      `json:"file"`
	Source   string      `json:"source,omitempty"` // member of the file in which lines are counted
	OK       bool        `json:"ok"`
	Errors   int         `json:"errors"`
	Warnings int         `json:"warnings"`
	Findings []check.Row `json:"findings"`
}

// printFindings prints the findings. It returns an error if the policy does not pass.
func printFindings(file, source string, findings []check.Result, strict bool, out io.Writer, style check.Style) error {
	r := checkReport{
		File: file, Source: source, Errors: check.Count(findings, lint.Error), Warnings: check.Count(findings, lint.Warning),
		Findings: lint.Format.Rows(findings),
	}
	r.OK = r.Errors == 0 && (!strict || r.Warnings == 0)
	place := r.File
	if r.Source != "" {
		place += ", " + r.Source
	}
	report := check.Report{Format: lint.Format, File: place, Results: findings, Closing: r.File + ": " + r.count(), Document: r}
	if err := report.Write(out, style); err != nil {
		return err
	}
	if !r.OK {
		return &verdictError{fmt.Sprintf("%s: the policy has %s", r.File, r.count())}
	}
	return nil
}

func (r *checkReport) count() string {
	return fmt.Sprintf("%s, %s", cli.Plural(r.Errors, "error"), cli.Plural(r.Warnings, "warning"))
}
