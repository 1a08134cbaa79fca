package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/lint"
	"skr/internal/operator/rollout"
	"skr/releasepolicy"
)

// applyOptions are the flags of skrctl rollout apply.
type applyOptions struct {
	writing

	tokenFile string
	retire    bool
}

func rolloutApplyCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	var o applyOptions
	cmd := &cobra.Command{
		Use:   "apply INVENTORY",
		Short: "Allow what an inventory lists, and with --retire nothing else",
		Long: "Brings the release policies of the keys to what the inventory says. Without --retire, it only adds: run it\n" +
			"before you deploy. With --retire, it also removes measurements and authorities that are not in the inventory:\n" +
			"run it when no old pod runs any more. Running it again does nothing. Exit codes: 0 done, or nothing to do;\n" +
			"2 a file or flag cannot be used, or a change needs --accept; 3 refused; 4 a vault cannot be reached: run it again.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if (o.tokenFile == cli.StandardOutput || args[0] == cli.StandardOutput) && !o.yes && !o.dryRun {
				return cli.BadUsage(errors.New("-: standard input cannot also answer; add --yes or --dry-run"))
			}
			desk, err := openRollout(cmd, args[0], o.tokenFile, env, streams)
			if err != nil {
				return err
			}
			return desk.apply(cmd, &o, streams)
		},
	}
	cmd.Flags().SortFlags = false
	tokenFlag(cmd, &o.tokenFile)
	cmd.Flags().BoolVar(&o.retire, "retire", false, "also remove measurements and authorities that are not in the inventory")
	o.flags(cmd, cmd.Flags())
	return cmd
}

func (d *rolloutDesk) apply(cmd *cobra.Command, o *applyOptions, streams cli.Streams) error {
	var all []pending
	for _, w := range d.wanted {
		vault, key, err := d.read(cmd.Context(), w)
		if err != nil {
			return err
		}
		proposal, err := rollout.Propose(key, func(p *releasepolicy.Policy) (*releasepolicy.Policy, error) { return w.Target(p, o.retire) },
			lint.Subject{Platform: w.Platform, AllowAll: w.AllowAll})
		if err != nil {
			return changeError(err)
		}
		if o.retire {
			if err := w.Compare(proposal.Before).Replaces(key.ID.String()); err != nil {
				return err
			}
		}
		report := newChangeReport(proposal)
		if err := report.print(o.output, streams.Out); err != nil {
			return err
		}
		if err := noteStrays(w.Compare(proposal.After), key.ID.String(), streams.Err); err != nil {
			return err
		}
		all = append(all, pending{vault, proposal, &report})
	}
	written, err := o.write(cmd.Context(), all, d.keyDesk, streams)
	if o.output == "json" && (err == nil || written) {
		if printed := encodeReports(all, streams.Out); err == nil {
			err = printed
		}
	}
	return err
}

// noteStrays says what --retire would remove.
func noteStrays(s rollout.Status, kid string, out io.Writer) error {
	strays := len(s.OtherAuthorities)
	for _, a := range s.Allowed {
		if len(a.Sources) == 0 {
			strays++
		}
	}
	if strays == 0 {
		return nil
	}
	_, err := fmt.Fprintf(out, "skrctl: note: %s: %d more allowed than the inventory lists; --retire removes what no pod needs any more\n", kid, strays)
	return err
}

func encodeReports(all []pending, out io.Writer) error {
	reports := make([]*changeReport, len(all))
	for i, p := range all {
		reports[i] = p.report
	}
	return json.NewEncoder(out).Encode(struct {
		Keys []*changeReport `json:"keys"`
	}{reports})
}
