package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/releasepolicy"
)

// explainOptions are the flags of skrctl policy explain.
type explainOptions struct {
	policy, token, workload, output string
	live                            bool
}

func policyExplainCommand(env config.Environment, io cli.Streams) *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain POLICY TOKEN",
		Short: "Explain why a token meets a release policy or not",
		Long: "Compares each condition with the claims of the token. TOKEN is an attestation token or its claims as JSON; it is\n" +
			"not verified. In a pod, `skr attest maa` prints a token. With --workload, the command also says what may run with\n" +
			"the key: which containers the execution policy lists, and whose signed fragments it admits.\n" +
			"One of the files may be - for standard input.\n" +
			"Exit codes: 0 the token meets the policy, 3 it does not, 2 unreadable.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			o.policy = args[0]
			if len(args) == 2 {
				o.token = args[1]
			}
			return explainPolicy(o, env, io)
		},
	}
	cmd.Flags().StringVar(&o.workload, "workload", "", "deployment file, as for skrctl measure; explains its execution policies too")
	liveFlag(cmd.Flags(), &o.live)
	cli.OutputFlag(cmd, &o.output)
	return cmd
}

func explainPolicy(o explainOptions, env config.Environment, io cli.Streams) error {
	if err := o.check(); err != nil {
		return err
	}
	policy, err := readPolicy(o.policy, io.In)
	if err != nil {
		return err
	}
	token, err := readClaims(o.token, io.In)
	if err != nil {
		return cli.BadUsage(err)
	}
	workloads, err := o.explainWorkloads(policy, io)
	if err != nil {
		return err
	}
	e := explained{false, policy.Explain(token.Members()), workloads}
	if err := e.print(o.output, marksFor(io.Out, env), io.Out); err != nil {
		return err
	}
	if !e.Met {
		return &verdictError{"the token does not meet the policy, because of " + strings.Join(e.Reasons(), ", ")}
	}
	return nil
}

func (o explainOptions) check() error {
	switch {
	case o.live:
		return cli.BadUsage(errors.New("--live: skrctl uses no device; run `skr attest maa` in the pod and pass its output as TOKEN"))
	case o.token == "":
		return cli.BadUsage(errors.New("a file with a token is needed; in a pod, `skr attest maa` prints one"))
	}
	if err := cli.OneStandardInput(o.policy, o.token, o.workload); err != nil {
		return err
	}
	return cli.CheckOutput(o.output)
}

// explained is what skrctl policy explain prints.
type explained struct {
	// Verified is false: skrctl verify checks the token.
	Verified bool `json:"verified"`
	releasepolicy.Explanation

	Workloads []explainedWorkload `json:"workloads,omitempty"`
}

func (e explained) print(output string, marks releasepolicy.Marks, out io.Writer) error {
	if output == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(e)
	}
	var text strings.Builder
	text.WriteString(e.Text(marks))
	if !e.Verified {
		text.WriteString("The token's signature was not verified.\n")
	}
	for _, w := range e.Workloads {
		text.WriteString(w.text())
	}
	_, err := fmt.Fprint(out, text.String())
	return err
}
