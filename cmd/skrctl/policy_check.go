package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/operator/lint"
)

func policyCheckCommand(io cli.Streams) *cobra.Command {
	var platform, workload, output string
	var strict bool
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Tell what is wrong in a release policy",
		Long: "Looks for conditions that give the key to others, or to nobody. FILE is a policy, or a key that has one, in any\n" +
			"form that az, the SDKs, templates and skr write; - is standard input. Exit codes: 0 no error, 3 errors, 2 unreadable.",
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
			open, err := allowAll(workload, args[0], io)
			if err != nil {
				return err
			}
			subject := lint.Subject{Platform: named, AllowAll: open, Immutable: document.Immutable}
			r := checkReport{File: args[0], Source: document.Source, Findings: lint.Check(document.Text, subject)}
			return r.tell(output, strict, io.Out)
		},
	}
	cmd.Flags().StringVar(&platform, "platform", "", "aci, aks-kata, cvm or trusted-launch; guessed from the conditions if empty")
	cmd.Flags().StringVar(&workload, "workload", "", "what is deployed, as skrctl policy measure takes it, to see whether its policy allows everything")
	cmd.Flags().BoolVar(&strict, "strict", false, "end with exit code 3 for warnings too")
	cli.OutputFlag(cmd, &output)
	return cmd
}

// allowAll are the HOST_DATA of the workload's policies that allow everything.
func allowAll(workload, policy string, streams cli.Streams) (digests []string, err error) {
	if workload == "" {
		return nil, nil
	}
	if err := cli.OneStandardInput(workload, policy); err != nil {
		return nil, err
	}
	policies, err := readWorkload(workload, streams)
	if err != nil {
		return nil, cli.BadUsage(err)
	}
	for _, p := range policies {
		if p.AllowsEverything() {
			digests = append(digests, p.Digest())
		}
	}
	return digests, nil
}

// checkReport is what skrctl policy check prints.
type checkReport struct {
	File     string         `json:"file"`
	Source   string         `json:"source,omitempty"` // member of the file that lines count in
	OK       bool           `json:"ok"`
	Errors   int            `json:"errors"`
	Warnings int            `json:"warnings"`
	Findings []lint.Finding `json:"findings"`
}

func (r *checkReport) tell(output string, strict bool, out io.Writer) error {
	for _, f := range r.Findings {
		switch f.Severity {
		case lint.Error:
			r.Errors++
		case lint.Warning:
			r.Warnings++
		case lint.Info:
		}
	}
	r.OK = r.Errors == 0 && (!strict || r.Warnings == 0)
	if err := r.print(output, out); err != nil {
		return err
	}
	if !r.OK {
		return &verdictError{fmt.Sprintf("%s: the policy has %s", r.File, r.count())}
	}
	return nil
}

func (r *checkReport) print(output string, out io.Writer) error {
	if output == "json" {
		if r.Findings == nil {
			r.Findings = []lint.Finding{}
		}
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		return e.Encode(r)
	}
	for _, f := range r.Findings {
		place := r.File
		if f.Line > 0 && r.Source != "" {
			place += ", " + r.Source
		}
		if f.Line > 0 {
			place = fmt.Sprintf("%s:%d:%d", place, f.Line, f.Column)
		}
		if _, err := fmt.Fprintf(out, "%s: %s: %s [%s]\n    fix: %s\n", place, f.Severity, f.Message, f.Rule, f.Fix); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "%s: %s\n", r.File, r.count())
	return err
}

func (r *checkReport) count() string {
	return fmt.Sprintf("%s, %s", cli.Plural(r.Errors, "error"), cli.Plural(r.Warnings, "warning"))
}
