package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"skr/attest/snp"
	"skr/attest/vcek"
	"skr/internal/azure/outbound"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/verify"
	"skr/internal/refusal"
)

// reportQuestion is what skrctl report verify is asked.
type reportQuestion struct {
	viewOptions

	chain, runtimeData string
}

func reportVerifyCommand(env config.Environment, io cli.Streams) *cobra.Command {
	var q reportQuestion
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Verify a report with its certificates, data and endorsement",
		Long: "Verifies what skrctl report show takes, and prints each check with its outcome and what to do. A report\n" +
			"without certificates is verified with those of --chain, else of certificate_sources. FILE may be -, standard\n" +
			"input; in a pod, `skr attest combined` prints what to verify. Without a report, with a part that cannot be read, or\n" +
			"with a flag that cannot be followed, nothing is verified. The last line says what was not looked at.\n" +
			"Exit codes: 0 each check that is needed was made and none failed, 6 otherwise, 2 unreadable.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(q.check(), cli.NoEmptyFlags(cmd)); err != nil {
				return err
			}
			if len(args) == 0 {
				return needsFile(cmd, "skr attest combined")
			}
			return q.verify(cmd, args, env, io)
		},
	}
	cmd.Flags().StringVar(&q.chain, "chain", "", "file with VCEK, ASK and ARK as PEM, or a THIM document")
	cmd.Flags().StringVar(&q.runtimeData, "runtime-data", "", "file whose SHA-256 REPORT_DATA must be")
	q.bind(cmd)
	return cmd
}

func (q *reportQuestion) verify(cmd *cobra.Command, args []string, env config.Environment, io cli.Streams) error {
	if err := cli.OneStandardInput(append([]string{q.chain, q.runtimeData}, args...)...); err != nil {
		return err
	}
	d, err := openDesk(cmd, env, io)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), d.settings.RequestTimeout)
	defer cancel()
	given, err := q.evidence(args[0], io.In)
	if err != nil {
		return err
	}
	silicon, err := d.silicon(ctx, q.when)
	if err != nil {
		return err
	}
	return q.print(verify.OfEvidence(given, silicon, q.when), env, io.Out)
}

// evidence is that of FILE, with what the flags add.
func (q *reportQuestion) evidence(path string, in io.Reader) (g verify.Given, err error) {
	found, err := readEvidenceFile(path, in)
	g.Evidence, _ = found.Evidence()
	g.Parts = found.Parts()
	if err == nil && q.chain != "" {
		g.GivenChain, err = readChain(q.chain, in)
	}
	if err == nil && q.runtimeData != "" {
		g.GivenData, err = cli.ReadRuntimeData(q.runtimeData, in)
	}
	return g, err
}

func readChain(path string, in io.Reader) (*vcek.Chain, error) {
	found, err := readArtefact(path, in)
	if err != nil {
		return nil, err
	}
	brought, _ := found.Evidence()
	if brought.Chain == nil {
		return nil, cli.BadUsage(fmt.Errorf("--chain: %s: this is no chain of VCEK, ASK and ARK; it is: %s", path, found))
	}
	for _, p := range found.Parts() {
		if p.Err != nil {
			return nil, cli.BadUsage(fmt.Errorf("--chain: %s: %w", path, p.Err))
		}
	}
	return brought.Chain, nil
}

// silicon has the configured roots and sources, at the time that is asked about.
func (d *desk) silicon(ctx context.Context, at time.Time) (verify.Silicon, error) {
	roots, err := outbound.AMDRoots(d.settings)
	if err != nil {
		return verify.Silicon{}, cli.BadUsage(fmt.Errorf("amd_roots: %w", err))
	}
	endorser := vcek.NewEndorser(vcek.Config{Sources: outbound.CertificateSources(d.settings, d.out, nil), Roots: roots, Now: func() time.Time { return at }})
	find := func(report *snp.Report) (*vcek.Chain, error) { return endorser.Chain(ctx, report) }
	return verify.Silicon{Roots: roots, Find: find}, nil
}

// print also makes a failed check the command's failure.
func (o *viewOptions) print(v *verify.Verdict, env config.Environment, out io.Writer) error {
	var err error
	if o.output == "json" {
		err = json.NewEncoder(out).Encode(v)
	} else {
		err = v.WriteText(out, paintFor(out, env))
	}
	if err == nil && !v.Passed {
		err = &failedChecksError{v.Failures()}
	}
	return err
}

// failedChecksError has exit code 6: what was verified is not to be trusted.
type failedChecksError struct{ names []string }

func (e *failedChecksError) Error() string {
	return "not verified, as these checks failed: " + strings.Join(e.names, ", ")
}
func (e *failedChecksError) Unwrap() error { return refusal.Untrusted }
