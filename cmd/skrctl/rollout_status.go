package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/rollout"
)

func rolloutStatusCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	var tokenFile, output string
	cmd := &cobra.Command{
		Use:   "status INVENTORY",
		Short: "Show which measurements the keys of an inventory allow, and what they belong to",
		Long: "Reads the keys of an inventory and compares their release policies with its manifests. Exit codes: 0 each key\n" +
			"allows exactly what the inventory lists, 3 it differs, 2 a file cannot be used, 4 a vault cannot be reached.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := cli.CheckOutput(output); err != nil {
				return err
			}
			desk, err := openRollout(cmd, args[0], tokenFile, env, streams)
			if err != nil {
				return err
			}
			return desk.status(cmd, output, streams)
		},
	}
	tokenFlag(cmd, &tokenFile)
	cli.OutputFlag(cmd, &output)
	return cmd
}

// keyStatus is a key of skrctl rollout status.
type keyStatus struct {
	Kid       string `json:"kid"`
	Enabled   bool   `json:"enabled"`
	Immutable bool   `json:"immutable"`
	Exact     bool   `json:"exact"`
	rollout.Status
}

func (d *rolloutDesk) status(cmd *cobra.Command, output string, streams cli.Streams) error {
	different := 0
	all := make([]keyStatus, len(d.wanted))
	for i, w := range d.wanted {
		_, key, err := d.read(cmd.Context(), w)
		if err != nil {
			return err
		}
		policy, err := policyOf(key)
		if err != nil {
			return err
		}
		all[i] = keyStatus{Kid: key.ID.String(), Enabled: key.Enabled, Immutable: key.Immutable, Status: w.Compare(policy)}
		if all[i].Exact = all[i].IsExact(); !all[i].Exact {
			different++
		}
	}
	if err := printStatus(all, output, streams.Out); err != nil {
		return err
	}
	if different > 0 {
		return &verdictError{fmt.Sprintf("%d of %s not as in the inventory", different, cli.Plural(len(all), "key"))}
	}
	return nil
}

func printStatus(all []keyStatus, output string, out io.Writer) error {
	if output == "json" {
		return json.NewEncoder(out).Encode(struct {
			Keys []keyStatus `json:"keys"`
		}{all})
	}
	var b strings.Builder
	for _, s := range all {
		fmt.Fprintf(&b, "%s\n", s.Kid)
		s.lines(func(mark, format string, args ...any) {
			fmt.Fprintf(&b, "  %-8s%s\n", mark, fmt.Sprintf(format, args...))
		})
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// lines adds the text of one key.
func (s keyStatus) lines(line func(mark, format string, args ...any)) {
	if !s.Enabled {
		line("note", "the newest version is disabled: the vault refuses every pod that names no other version")
	}
	if s.Immutable {
		line("note", "the release policy is immutable")
	}
	if s.Open {
		line("open", "the policy does not list measurements: every workload that the authorities attest has the key")
	}
	for _, a := range s.Allowed {
		if len(a.Sources) == 0 {
			line("stray", "%s  belongs to no manifest: a candidate for retirement", a.Measurement)
			continue
		}
		line("allowed", "%s  %s", a.Measurement, strings.Join(a.Sources, "; "))
	}
	for _, w := range s.Missing {
		line("missing", "%s  %s", w.Measurement, w.Source)
	}
	for _, name := range s.MissingAuthorities {
		line("missing", "authority %q", name)
	}
	for _, name := range s.OtherAuthorities {
		line("stray", "authority %q is not in the inventory", name)
	}
}
