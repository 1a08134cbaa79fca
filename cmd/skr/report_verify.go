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
	"github.com/spf13/pflag"

	"skr/attest/snp"
	"skr/attest/vcek"
	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
	"skr/internal/refusal"
)

// reportQuestion is what skr report verify is asked.
type reportQuestion struct {
	viewOptions

	chain, runtimeData string
}

func reportVerifyCommand(env environment, io streams) *cobra.Command {
	var q reportQuestion
	cmd := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Verify a report with its certificates, data and endorsement",
		Long: "Verifies what skr report show takes, and prints each check with its outcome and what to do. A report\n" +
			"without certificates is verified with those of --chain, else of certificate_sources. FILE may be -, standard\n" +
			"input; without FILE this machine is asked. Without a report, with a part that cannot be read, or with a flag\n" +
			"that cannot be followed, nothing is verified. The last line says what was not looked at.\n" +
			"Exit codes: 0 each check that is needed was made and none failed, 6 otherwise, 2 unreadable.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(q.check(), noEmptyFlags(cmd)); err != nil {
				return err
			}
			return q.verify(cmd, args, env, io)
		},
	}
	cmd.Flags().StringVar(&q.chain, "chain", "", "file with VCEK, ASK and ARK as PEM, or a THIM document")
	cmd.Flags().StringVar(&q.runtimeData, "runtime-data", "", "file whose SHA-256 REPORT_DATA must be")
	q.bind(cmd)
	return cmd
}

func (q *reportQuestion) verify(cmd *cobra.Command, args []string, env environment, io streams) error {
	if err := oneStandardInput(append([]string{q.chain, q.runtimeData}, args...)...); err != nil {
		return err
	}
	s, parts, err := oneShot(cmd, env, io)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), s.RequestTimeout)
	defer cancel()
	given, err := q.evidence(ctx, args, parts, io.in)
	if err != nil {
		return err
	}
	silicon, err := parts.silicon(ctx, s, q.when)
	if err != nil {
		return err
	}
	return q.print(verify.OfEvidence(given, silicon, q.when), env, io.out)
}

// evidence is that of FILE or of this machine, with what the flags add.
func (q *reportQuestion) evidence(ctx context.Context, args []string, parts *sidecar, in io.Reader) (g verify.Given, err error) {
	if len(args) == 0 {
		g, err = parts.ownEvidence(ctx)
	} else {
		var found inspect.Artefact
		found, err = readEvidenceFile(args[0], in)
		g.Evidence, _ = found.Evidence()
		g.Parts = found.Parts()
	}
	if err == nil && q.chain != "" {
		g.GivenChain, err = readChain(q.chain, in)
	}
	if err == nil && q.runtimeData != "" {
		g.GivenData, err = readRuntimeData(q.runtimeData, in)
	}
	return g, err
}

// ownEvidence is what this machine says of itself, with its security context.
func (p *sidecar) ownEvidence(ctx context.Context) (verify.Given, error) {
	p.tellMachine()
	evidence, err := p.freshReport(ctx)
	if err != nil {
		return verify.Given{}, err
	}
	return verify.Given{
		Evidence: inspect.Evidence{
			Report: evidence.Report, RuntimeData: evidence.Bound(), InitTimeData: p.context.Policy, Endorsement: p.context.Endorsement,
		},
		Parts: append([]inspect.Part{{Kind: inspect.Report}}, p.unusableParts()...),
	}, nil
}

// unusableParts of the security context fail a verification: they are there, and nothing
// looked at them.
func (p *sidecar) unusableParts() []inspect.Part {
	var parts []inspect.Part
	for _, err := range []error{p.context.DirectoryErr, p.context.PolicyErr, p.context.HostCertificateErr, p.context.EndorsementErr} {
		if err != nil {
			parts = append(parts, inspect.Part{Path: securityContext, Err: err})
		}
	}
	return parts
}

// noEmptyFlags refuses flags that are there and empty, as of a variable that is not set: what
// they ask for would not be looked at.
func noEmptyFlags(cmd *cobra.Command) error {
	var empty error
	cmd.LocalNonPersistentFlags().VisitAll(func(flag *pflag.Flag) {
		if flag.Changed && flag.Name != "at" && flag.Value.String() == "" {
			empty = errors.Join(empty, fmt.Errorf("--%s: it is empty; leave it out if you do not ask for it", flag.Name))
		}
	})
	if empty != nil {
		return &configError{empty}
	}
	return nil
}

func readChain(path string, in io.Reader) (*vcek.Chain, error) {
	found, err := readArtefact(path, in)
	if err != nil {
		return nil, err
	}
	brought, _ := found.Evidence()
	if brought.Chain == nil {
		return nil, &configError{fmt.Errorf("--chain: %s: this is no chain of VCEK, ASK and ARK; it is: %s", path, found)}
	}
	for _, p := range found.Parts() {
		if p.Err != nil {
			return nil, &configError{fmt.Errorf("--chain: %s: %w", path, p.Err)}
		}
	}
	return brought.Chain, nil
}

// silicon has the configured roots and sources, at the time that is asked about.
func (p *sidecar) silicon(ctx context.Context, s *settings, at time.Time) (verify.Silicon, error) {
	roots, err := s.amdRoots()
	if err != nil {
		return verify.Silicon{}, &configError{fmt.Errorf("amd_roots: %w", err)}
	}
	endorser := vcek.NewEndorser(vcek.Config{Sources: s.certificateSources(p), Roots: roots, Now: func() time.Time { return at }})
	find := func(report *snp.Report) (*vcek.Chain, error) { return endorser.Chain(ctx, report) }
	return verify.Silicon{Roots: roots, Find: find}, nil
}

// print also makes a failed check the command's failure.
func (o *viewOptions) print(v *verify.Verdict, env environment, out io.Writer) error {
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

func paintFor(out io.Writer, env environment) verify.Paint {
	if isColourful(out, env) {
		return verify.Coloured
	}
	return verify.Plain
}

// failedChecksError has exit code 6: what was verified is not to be trusted.
type failedChecksError struct{ names []string }

func (e *failedChecksError) Error() string {
	return "not verified, as these checks failed: " + strings.Join(e.names, ", ")
}
func (e *failedChecksError) Unwrap() error { return refusal.Untrusted }
