package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"skr/attest"
	"skr/internal/operator/inspect"
)

func reportCommand(env environment, io streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Show or verify a report and what endorses it",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(reportShowCommand(env, io), reportVerifyCommand(env, io))
	return cmd
}

func reportShowCommand(env environment, io streams) *cobra.Command {
	var view viewOptions
	cmd := &cobra.Command{
		Use:   "show [FILE]",
		Short: "Print each field of a report with its meaning",
		Long: "Takes what skr show takes, if it is or holds a report, certificates for one, or a UVM endorsement. FILE may\n" +
			"be -, standard input; without FILE this machine is asked for a report.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := view.check(); err != nil {
				return err
			}
			found, err := readEvidence(cmd, args, env, io)
			if err != nil {
				return err
			}
			return view.show(found, io.out)
		},
	}
	view.bind(cmd)
	return cmd
}

// readEvidence reads FILE, or asks this machine.
func readEvidence(cmd *cobra.Command, args []string, env environment, io streams) (inspect.Artefact, error) {
	if len(args) > 0 {
		return readEvidenceFile(args[0], io.in)
	}
	s, parts, err := oneShot(cmd, env, io)
	if err != nil {
		return inspect.Artefact{}, err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), s.RequestTimeout)
	defer cancel()
	evidence, err := parts.freshReport(ctx)
	if err != nil {
		return inspect.Artefact{}, err
	}
	return inspect.Recognise(evidence.Report.Raw())
}

func readEvidenceFile(path string, in io.Reader) (inspect.Artefact, error) {
	found, err := readArtefact(path, in)
	if err != nil {
		return found, err
	}
	if _, ok := found.Evidence(); !ok {
		return found, &configError{fmt.Errorf("%s: this is no report and nothing that endorses one; it is: %s", path, found)}
	}
	return found, nil
}

// freshReport is over runtime data that nobody could foresee.
func (p *sidecar) freshReport(ctx context.Context) (*attest.Evidence, error) {
	return p.attester.Report(ctx, fresh())
}

// fresh is runtime data in the form that MAA takes.
func fresh() []byte { return fmt.Appendf(nil, `{"nonce":%q}`, rand.Text()) }
