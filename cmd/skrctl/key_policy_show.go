package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/provision"
	"skr/internal/operator/rollout"
	"skr/releasepolicy"
)

func keyPolicyShowCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	var access keyAccess
	var output string
	cmd := &cobra.Command{
		Use:   "show NAME[/VERSION] --vault HOST",
		Short: "Print the release policy of a key, and the measurements that it allows",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := cli.CheckOutput(output); err != nil {
				return err
			}
			key, err := access.read(cmd, args[0], env, streams)
			if err != nil {
				return err
			}
			shown := describePolicy(key)
			if output == "json" {
				return json.NewEncoder(streams.Out).Encode(shown)
			}
			return shown.print(streams.Out)
		},
	}
	access.flags(cmd)
	cli.OutputFlag(cmd, &output)
	return cmd
}

// shownPolicy is the JSON form of a key's policy.
type shownPolicy struct {
	Kid          string           `json:"kid"`
	Immutable    bool             `json:"immutable"`
	Authorities  []string         `json:"authorities,omitempty"`
	Measurements []measuredPolicy `json:"measurements,omitempty"`
	Policy       json.RawMessage  `json:"policy,omitempty"`
	PolicySHA256 string           `json:"policy_sha256,omitempty"`
	PolicyError  string           `json:"policy_error,omitempty"`

	line string // of the policy's state
}

// measuredPolicy is a value that a claim with a measurement may have.
type measuredPolicy struct {
	Claim string `json:"claim"`
	Value string `json:"value"`
}

func describePolicy(key *provision.Key) shownPolicy {
	info := describeKey(key)
	s := shownPolicy{
		Kid: info.Kid, Immutable: info.Immutable, Authorities: info.Authorities, Policy: info.Policy,
		PolicySHA256: info.PolicySHA256, PolicyError: info.PolicyError, line: info.policyLine(),
	}
	policy, err := releasepolicy.Parse(key.Policy)
	if err != nil {
		return s // PolicyError has the reason
	}
	for _, claim := range rollout.MeasurementClaims(policy) {
		values, _ := policy.Listed(claim)
		for _, value := range values {
			s.Measurements = append(s.Measurements, measuredPolicy{claim, value})
		}
	}
	return s
}

func (s shownPolicy) print(out io.Writer) error {
	var b strings.Builder
	line := func(name, text string) { fmt.Fprintf(&b, "%-12s%s\n", name, text) }
	line("key", s.Kid)
	line("policy", s.line)
	for _, name := range s.Authorities {
		line("authority", fmt.Sprintf("%q", name))
	}
	for _, m := range s.Measurements {
		line("allows", fmt.Sprintf("%s %q", m.Claim, m.Value))
	}
	if len(s.Policy) > 0 {
		fmt.Fprintf(&b, "\n%s\n", indented(s.Policy))
	}
	_, err := io.WriteString(out, b.String())
	return err
}
