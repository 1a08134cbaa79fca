package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/operator/fragment"
	"skr/internal/operator/measure"
)

func fragmentVerifyCommand(streams cli.Streams) *cobra.Command {
	var policy, output string
	cmd := &cobra.Command{
		Use:   "verify FILE [--policy FILE]",
		Short: "Verify a signed fragment, and that an execution policy admits it",
		Long: "Verifies the signature, the certificates and the did:x509 issuer. Anybody can make a fragment that verifies: with\n" +
			"--policy, the command also tells whether an import of the execution policy admits this issuer, feed and svn, as a\n" +
			"utility VM decides, and includes what the fragment has. It warns of what may be wrong with the imports. As the\n" +
			"utility VM, it ignores when certificates expire. FILE may be -, standard input.\n" +
			"Exit codes: 0 verified and admitted, 3 no import admits it, 6 not authentic, 2 unreadable.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return verifyFragment(args[0], policy, output, streams) },
	}
	cmd.Flags().StringVar(&policy, "policy", "", "execution policy, or what is deployed with one, as skrctl measure takes it; - is standard input")
	cli.OutputFlag(cmd, &output)
	return cmd
}

// admission says that a policy admits a fragment.
type admission struct {
	Source string       `json:"source"`
	Import importedRule `json:"import"`
}

func verifyFragment(path, policy, output string, streams cli.Streams) error {
	if err := cli.CheckOutput(output); err != nil {
		return err
	}
	if err := cli.OneStandardInput(path, policy); err != nil {
		return err
	}
	f, _, err := readSigned(path, streams.In)
	if err != nil {
		return err
	}
	view := viewOf(f)
	view.Findings = f.Policy.Findings()
	refused, err := view.admit(f, policy, streams)
	if err != nil {
		return err
	}
	if err := view.writeVerdict(output, policy == "", streams.Out); err != nil {
		return err
	}
	if policy != "" && len(view.AdmittedBy) == 0 {
		return &verdictError{fmt.Sprintf("%s: no import of %s admits it: %s", path, policy, strings.Join(refused, "; "))}
	}
	return nil
}

// admit judges the fragment by each policy of a file, and returns why policies refuse it.
func (v *fragmentView) admit(f *fragment.Fragment, path string, streams cli.Streams) (refused []string, err error) {
	if path == "" {
		return nil, nil
	}
	policies, err := readPolicies(path, streams)
	if err != nil {
		return nil, cli.BadUsage(err)
	}
	for _, p := range policies {
		rego := p.Rego()
		if rego == nil {
			refused = append(refused, p.Source()+": it is not Rego")
			continue
		}
		v.Findings = append(append(v.Findings, rego.Findings()...), f.Mismatches(rego)...)
		rule, err := f.Admitted(rego)
		if err != nil {
			refused = append(refused, p.Source()+": "+strings.ReplaceAll(err.Error(), "\n", "; "))
			continue
		}
		v.AdmittedBy = append(v.AdmittedBy, admission{p.Source(), importedRule{rule, rule.String()}})
	}
	return refused, nil
}

func readPolicies(path string, streams cli.Streams) ([]measure.Policy, error) {
	data, err := cli.ReadInput(path, maxWorkloadFile, streams.In)
	if err != nil {
		return nil, err
	}
	policies, err := measure.Read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return policies, nil
}

func (v *fragmentView) writeVerdict(output string, alone bool, out io.Writer) error {
	if output == "json" {
		return json.NewEncoder(out).Encode(v)
	}
	if err := v.writeText(out); err != nil {
		return err
	}
	var lines []string
	for _, a := range v.AdmittedBy {
		lines = append(lines, fmt.Sprintf("admitted by %s, which %s", a.Source, a.Import.Meaning))
	}
	for _, f := range v.Findings {
		lines = append(lines, "warning: "+f.Rule+": "+f.Text)
	}
	if alone {
		lines = append(lines, "not looked at: whether a policy admits this signer (--policy)")
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(out, oneLine(line)); err != nil {
			return err
		}
	}
	return nil
}
