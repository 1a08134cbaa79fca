package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
	"skr/internal/refusal"
)

func verifyCommand(env config.Environment, io cli.Streams) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify FILE... | DIR",
		Short: "Verify a report, a token, boot evidence or a release statement",
		Long: "Recognises the files, verifies them, and prints each check with its outcome and what to do. Several files, or the\n" +
			"files of a directory, are the parts of one thing, such as a report and its chain. FILE may be - for standard input.\n\n" +
			"  report             with its certificates, data and endorsement\n" +
			"  TDX quote          with its TD report, data and Intel's collateral\n" +
			"  boot evidence      quote, PCRs and event log of a virtual TPM; requires\n" +
			"                     --policy, see docs/vtpm.md. With --runtime-data, only its\n" +
			"                     report is verified, like any report\n" +
			"  token              of an attestation service in maa_allow; --policy is a\n" +
			"                     release policy that it must meet\n" +
			"  release statement  of a vault; requires --vault\n\n" +
			"A flag that does not apply to the file is an error. The first line says what was verified, the last line what was\n" +
			"not checked. Exit codes: 0 every required check passed, 6 otherwise, 2 unreadable.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, args, env, io, func(ctx context.Context, v *verifier) (*verify.Verdict, error) {
				return v.recognised(ctx, args)
			})
		},
	}
	o.bindAll(cmd)
	return cmd
}

// verifier verifies one artefact with the input of the flags.
type verifier struct {
	*verifyOptions

	*desk

	in io.Reader
}

// run opens the desk, and prints the verdict.
func (o *verifyOptions) run(
	cmd *cobra.Command, args []string, env config.Environment, io cli.Streams, decide func(context.Context, *verifier) (*verify.Verdict, error),
) error {
	if err := errors.Join(o.check(), cli.NoEmptyFlags(cmd)); err != nil {
		return err
	}
	if err := cli.OneStandardInput(append(o.files(), args...)...); err != nil {
		return err
	}
	d, err := openDesk(cmd, env, io)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), d.settings.RequestTimeout)
	defer cancel()
	verdict, err := decide(ctx, &verifier{o, d, io.In})
	if err != nil {
		return err
	}
	return printVerdict(verdict, o.output, env, io.Out)
}

// recognised verifies files according to their kind.
func (v *verifier) recognised(ctx context.Context, paths []string) (*verify.Verdict, error) {
	artefact, err := readTogether(paths, v.in)
	if err != nil {
		return nil, err
	}
	subject := v.subject(artefact)
	if subject == "" {
		return nil, cli.BadUsage(fmt.Errorf("%s: this cannot be verified; it is: %s; use a report or its endorsements, boot evidence, "+
			"a whole attestation token or a release statement", strings.Join(paths, ", "), artefact))
	}
	if err := v.checkApply(subject, artefact); err != nil {
		return nil, err
	}
	switch subject {
	case verify.Token:
		return v.token(ctx, artefact)
	case verify.Statement:
		return v.statement(artefact)
	case verify.Boot:
		return v.boot(ctx, artefact)
	default:
		return v.evidence(ctx, givenOf(artefact))
	}
}

// subject returns what to verify. With flags for boot evidence it is the boot, even if only its report
// is present. With --runtime-data it is only the report.
func (v *verifier) subject(artefact inspect.Artefact) verify.Subject {
	subject := verify.SubjectOf(artefact)
	isBoot := v.policy != "" || v.nonce != "" || v.signature != ""
	boot := artefact.Boot()
	switch {
	case isBoot && (subject == verify.Evidence || subject == "") && (boot.HCL != nil || boot.Certificate != nil):
		return verify.Boot
	case !isBoot && subject == verify.Boot && v.runtimeData != "" && boot.HCL != nil:
		return verify.Evidence
	}
	return subject
}

// readTogether reads the parts of one artefact. It refuses a token or a statement with other files.
func readTogether(paths []string, in io.Reader) (inspect.Artefact, error) {
	artefact, err := readParts(paths, in)
	if err != nil || len(paths) == 1 {
		return artefact, err
	}
	for _, p := range artefact.Parts() {
		isFile := slices.ContainsFunc(paths, func(path string) bool { return filepath.Base(path) == p.Path })
		if isFile && (p.Kind == inspect.MAAToken || p.Kind == inspect.ReleaseStatement) {
			return artefact, cli.BadUsage(fmt.Errorf("%s: this is a complete artefact (%s): verify it alone", p.Path, p.Kind.Name()))
		}
	}
	return artefact, nil
}

// printVerdict prints the verdict. It returns an error if a check failed.
func printVerdict(v *verify.Verdict, output string, env config.Environment, out io.Writer) error {
	if err := v.Report().Write(out, cli.StyleFor(output, out, env)); err != nil || v.Passed {
		return err
	}
	return &failedChecksError{v.Failures()}
}

// failedChecksError has exit code 6: the artefact must not be trusted.
type failedChecksError struct{ names []string }

func (e *failedChecksError) Error() string {
	return "not verified, as these checks failed: " + strings.Join(e.names, ", ")
}
func (e *failedChecksError) Unwrap() error { return refusal.Untrusted }
