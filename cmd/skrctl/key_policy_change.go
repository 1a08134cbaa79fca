package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"skr/hsm"
	"skr/internal/check"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/lint"
	"skr/internal/operator/provision"
	"skr/internal/operator/rollout"
	"skr/releasepolicy"
)

// writing are the flags of all commands that change release policies.
type writing struct {
	accept      config.List
	yes, dryRun bool
	output      string
}

func (w *writing) flags(cmd *cobra.Command, fs *pflag.FlagSet) {
	fs.Var(&w.accept, "accept", "rules of skrctl policy check, and of changes, to ignore")
	fs.BoolVar(&w.yes, "yes", false, "write without asking, in a pipeline")
	fs.BoolVar(&w.dryRun, "dry-run", false, "print the difference and the request, and write nothing")
	cli.OutputFlag(cmd, &w.output)
}

// check checks the flags.
func (w *writing) check() error {
	if err := cli.CheckOutput(w.output); err != nil {
		return err
	}
	known := append(lint.Rules(), lint.ChangeRules()...)
	for _, name := range w.accept {
		if !slices.ContainsFunc(known, func(r lint.Rule) bool { return r.Name == name }) {
			return cli.BadUsage(fmt.Errorf("--accept: %q is not a rule of skrctl policy check, nor of changes", name))
		}
	}
	return nil
}

// policyEdit changes the policy of one key.
type policyEdit struct {
	keyAccess
	writing

	// next returns the new policy, and what the checks of it should know.
	next func(*releasepolicy.Policy) (*releasepolicy.Policy, error)
	// subject is known when next was called.
	subject lint.Subject
}

func (e *policyEdit) run(cmd *cobra.Command, name string, desk *keyDesk, streams cli.Streams) error {
	id, err := desk.parseKey(e.vault, name)
	if err != nil {
		return err
	}
	if id.Version() != "" {
		return cli.BadUsage(fmt.Errorf("%q has a version; a release policy belongs to the name alone", name))
	}
	vault, key, err := e.look(cmd.Context(), desk, id, streams.In)
	if err != nil {
		return err
	}
	proposal, err := rollout.Propose(key, e.next, e.subject)
	if err != nil {
		return changeError(err)
	}
	report := newChangeReport(proposal)
	if err := report.print(e.output, streams.Out); err != nil {
		return err
	}
	written, err := e.write(cmd.Context(), []pending{{vault, proposal, &report}}, desk, streams)
	if err == nil && e.output == "json" {
		report.Written = written
		err = json.NewEncoder(streams.Out).Encode(report)
	}
	return err
}

// look opens the vault and reads the key.
func (a *keyAccess) look(ctx context.Context, desk *keyDesk, id hsm.KeyID, in io.Reader) (*provision.Vault, *provision.Key, error) {
	ctx, cancel := context.WithTimeout(ctx, desk.settings.RequestTimeout)
	defer cancel()
	vault, err := a.visit(ctx, desk, id.Vault(), in)
	if err != nil {
		return nil, nil, err
	}
	key, err := vault.Read(ctx, id)
	return vault, key, err
}

// changeError returns the exit code of a wrong flag for changes that the policy does not permit.
func changeError(err error) error {
	if errors.Is(err, releasepolicy.ErrShape) {
		return cli.BadUsage(fmt.Errorf("%w, with skrctl key policy set", err))
	}
	if cli.ExitCode(err) == cli.ExitInternal {
		return cli.BadUsage(err)
	}
	return err
}

// pending is a proposal with its vault and its part of the output.
type pending struct {
	vault    *provision.Vault
	proposal rollout.Proposal
	report   *changeReport
}

// write checks, asks and writes. It reports whether anything was written. Each key is written by
// itself: after an error, the earlier ones are changed, and the command can be repeated.
func (w *writing) write(ctx context.Context, all []pending, desk *keyDesk, streams cli.Streams) (bool, error) {
	all = slices.DeleteFunc(slices.Clone(all), func(p pending) bool { return p.proposal.IsEmpty() })
	if len(all) == 0 {
		return false, w.say(streams.Out, "nothing to do\n")
	}
	changes := make([]*provision.PolicyChange, len(all))
	for i, p := range all {
		if refused := p.proposal.Unaccepted(w.accept); len(refused) > 0 {
			return false, cli.BadUsage(&wideningError{p.proposal.Key.ID.Name(), refused})
		}
		for _, f := range p.proposal.Widening {
			_, _ = fmt.Fprintf(streams.Err, "skrctl: warning: %s: %s; %s\n", f.Name, f.Found, f.Fix) // a warning that cannot be printed is lost
		}
		var err error
		if changes[i], err = p.proposal.Change(); err != nil {
			return false, err
		}
	}
	if w.dryRun {
		return false, w.preview(all, changes, desk.settings.VaultAPIVersion, streams.Out)
	}
	if err := w.ask(all, streams); err != nil {
		return false, err
	}
	for i, p := range all {
		if err := w.send(ctx, p, changes[i], desk, streams.Out); err != nil {
			return i > 0, err
		}
	}
	return true, nil
}

// ask asks whether to write. The one who answers has seen the difference, also with output json.
func (w *writing) ask(all []pending, streams cli.Streams) error {
	if w.output == "json" && !w.yes {
		for _, p := range all {
			if err := p.report.print("text", streams.Err); err != nil {
				return err
			}
		}
	}
	first := all[0].proposal.Key.ID
	word, question := first.Name(), fmt.Sprintf("this changes the release policy of %s", first)
	if len(all) > 1 {
		word, question = "yes", fmt.Sprintf("this changes the release policies of %s", cli.Plural(len(all), "key"))
	}
	return confirm(streams, w.yes, word, question)
}

func (w *writing) send(ctx context.Context, p pending, change *provision.PolicyChange, desk *keyDesk, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, desk.settings.RequestTimeout)
	defer cancel()
	stored, err := p.vault.Change(ctx, change)
	if err != nil {
		return err
	}
	info := describeKey(stored)
	p.report.Written, p.report.PolicySHA256 = true, info.PolicySHA256
	return w.say(out, "changed %s, policy SHA-256 %s\n", stored.ID, info.PolicySHA256)
}

// say prints text output.
func (w *writing) say(out io.Writer, format string, args ...any) error {
	if w.output == "json" {
		return nil
	}
	_, err := fmt.Fprintf(out, format, args...)
	return err
}

// preview prints the requests.
func (w *writing) preview(all []pending, changes []*provision.PolicyChange, apiVersion string, out io.Writer) error {
	for i, change := range changes {
		preview, err := change.Preview(apiVersion)
		if err != nil {
			return err
		}
		all[i].report.Request = &preview
		body, err := json.MarshalIndent(preview.Body, "", "  ")
		if err != nil {
			return err
		}
		if err := w.say(out, "\n%s %s\n\n%s\n\nrelease_policy.data is this in base64url:\n\n%s\n",
			preview.Method, preview.URL, body, bytes.TrimSpace(change.Policy().Raw())); err != nil {
			return err
		}
	}
	return nil
}

// wideningError lists why a change gives the key to more than before.
type wideningError struct {
	key      string
	findings []check.Result
}

func (e *wideningError) Error() string {
	var names []string
	for _, f := range e.findings {
		if !slices.Contains(names, f.Name) {
			names = append(names, f.Name)
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "the key %q: the change gives it to more than was asked for, and nothing was written; change the policy, or add --accept %s",
		e.key, strings.Join(names, ","))
	for _, f := range e.findings {
		fmt.Fprintf(&text, "; %s: %s", f.Name, f.Found)
	}
	return text.String()
}
