package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"skr/internal/strictjson"
	"skr/releasepolicy"
)

// explainOptions are the flags of skr policy explain.
type explainOptions struct {
	policy, token     string
	live              bool
	authority, output string
}

func policyExplainCommand(env environment, io streams) *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain POLICY {TOKEN | --live}",
		Short: "Tell why a token meets a release policy, or not",
		Long: "Holds each condition against what the token says. TOKEN is an attestation token or its claims as JSON, and is\n" +
			"not verified; with --live this machine is attested, and its token is. Either file may be -, standard input.\n" +
			"Exit codes: 0 the policy is met, 3 it is not, 2 unreadable.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.policy = args[0]
			if len(args) == 2 {
				o.token = args[1]
			}
			return explainPolicy(cmd, o, env, io)
		},
	}
	cmd.Flags().BoolVar(&o.live, "live", false, "attest this machine, and take its token")
	cmd.Flags().StringVar(&o.authority, "authority", "", "attestation service to ask with --live; the policy's if it has only one")
	outputFlag(cmd, &o.output)
	return cmd
}

func explainPolicy(cmd *cobra.Command, o explainOptions, env environment, io streams) error {
	if err := o.check(); err != nil {
		return err
	}
	policy, err := readPolicy(o.policy, io.in)
	if err != nil {
		return err
	}
	var token strictjson.Object
	if o.live {
		token, err = o.attest(cmd, policy, env, io)
	} else if token, err = readClaims(o.token, io.in); err != nil {
		err = &configError{err}
	}
	if err != nil {
		return err
	}
	e := explained{o.live, policy.Explain(token.Members())}
	if err := e.print(o.output, marksFor(io.out, env), io.out); err != nil {
		return err
	}
	if !e.Met {
		return &verdictError{"the token does not meet the policy, because of " + strings.Join(e.Reasons(), ", ")}
	}
	return nil
}

func (o explainOptions) check() error {
	switch {
	case o.live == (o.token != ""):
		return &configError{errors.New("a file with a token is needed, or --live")}
	case o.authority != "" && !o.live:
		return &configError{errors.New("--authority is for --live: a token names its own")}
	}
	if err := oneStandardInput(o.policy, o.token); err != nil {
		return err
	}
	return checkOutput(o.output)
}

// attest gets a token of this machine, verified, for runtime data that say nothing.
func (o explainOptions) attest(cmd *cobra.Command, policy *releasepolicy.Policy, env environment, io streams) (strictjson.Object, error) {
	name := o.authority
	if all := policy.Authorities(); name == "" && len(all) == 1 {
		name = all[0]
	}
	if name == "" {
		return strictjson.Object{}, &configError{errors.New("--authority is needed: the policy has several")}
	}
	s, parts, err := oneShot(cmd, env, io)
	if err != nil {
		return strictjson.Object{}, err
	}
	parts.tellMachine()
	authority, err := parts.authorities.Parse(name)
	if err != nil {
		return strictjson.Object{}, err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), s.RequestTimeout)
	defer cancel()
	result, err := parts.releaser.Token(ctx, authority, []byte("{}"))
	if err != nil {
		return strictjson.Object{}, err
	}
	return result.Claims, nil
}

// explained is what skr policy explain prints.
type explained struct {
	// Verified says whether the token's signature was checked.
	Verified bool `json:"verified"`
	releasepolicy.Explanation
}

func (e explained) print(output string, marks releasepolicy.Marks, out io.Writer) error {
	if output == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(e)
	}
	text := e.Text(marks)
	if !e.Verified {
		text += "The token's signature was not verified.\n"
	}
	_, err := fmt.Fprint(out, text)
	return err
}
