package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/conformance"
	"skr/internal/refusal"
	"skr/internal/sbom"
)

// conformanceOptions are the flags of skrctl conformance.
type conformanceOptions struct {
	sidecar, contract, authority, vault, key, output, report string

	timeout time.Duration
}

func conformanceCommand(env config.Environment, io cli.Streams) *cobra.Command {
	var o conformanceOptions
	cmd := &cobra.Command{
		Use:   "conformance",
		Short: "Check whether a sidecar answers as skr and the reference sidecar do",
		Long: "Sends 42 requests to a running sidecar, or up to 48 with the flags below, and compares the answers with\n" +
			"api/openapi.yaml and with what callers of the reference sidecar rely on. Each check names its contract: reference,\n" +
			"which every drop-in must keep, or skr. Its outcome is same, differs, not served (404 or 405), or skipped.\n\n" +
			"No key is released without --maa, --vault and --kid. With them, a key is released three times, checked for its\n" +
			"shape, and neither printed nor kept. No token is sent. Four requests ask the hardware for a report, and up to five\n" +
			"more with these flags; below a paravisor each takes two seconds. gRPC is not checked.\n\n" +
			"Exit codes: 0 all is the same or skipped, 3 something differs or is not served, 4 no sidecar answers,\n" +
			"6 something else answers.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(cli.NoEmptyFlags(cmd), cli.CheckOutput(o.output)); err != nil {
				return err
			}
			return o.run(cmd, env, io)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.sidecar, "sidecar", "http://localhost:8080", "URL of the sidecar, or unix:/path of its socket")
	flags.StringVar(&o.contract, "contract", string(conformance.Own), "skr, or reference to check only what every drop-in must keep")
	flags.StringVar(&o.authority, "maa", "", "host of the attestation service; also asks for a token")
	flags.StringVar(&o.vault, "vault", "", "host of the vault; with --maa and --kid, also releases a key")
	flags.StringVar(&o.key, "kid", "", "name of the key, or name/version")
	flags.DurationVar(&o.timeout, "timeout", time.Minute, "how long to wait for each answer")
	flags.StringVar(&o.report, "report", "", "also write a file to attach to an issue: requests, and the shapes and sizes of answers")
	cli.OutputFlag(cmd, &o.output)
	return cmd
}

// config checks the flags.
func (o *conformanceOptions) config() (conformance.Config, error) {
	address, err := conformance.ParseAddress(o.sidecar)
	contract := conformance.Contract(o.contract)
	switch {
	case err != nil:
		return conformance.Config{}, cli.BadUsage(fmt.Errorf("--sidecar: %w", err))
	case contract != conformance.Own && contract != conformance.Reference:
		return conformance.Config{}, cli.BadUsage(fmt.Errorf("--contract: %q is none of skr, reference", o.contract))
	case o.timeout <= 0:
		return conformance.Config{}, cli.BadUsage(errors.New("--timeout must be positive"))
	case (o.vault == "") != (o.key == "") || o.vault != "" && o.authority == "":
		return conformance.Config{}, cli.BadUsage(errors.New("to release a key, give --maa, --vault and --kid together"))
	case o.key != "" && address.IsExposed():
		return conformance.Config{}, cli.BadUsage(errors.New("--sidecar is plain http to another machine, and keys would cross the network in the clear; " +
			"leave out --vault and --kid, or use https or a port that is forwarded to this machine"))
	}
	return conformance.Config{
		Sidecar: address, Timeout: o.timeout, Contract: contract, Authority: o.authority, Vault: o.vault, Key: o.key,
	}, nil
}

func (o *conformanceOptions) run(cmd *cobra.Command, env config.Environment, io cli.Streams) error {
	c, err := o.config()
	if err != nil {
		return err
	}
	file, err := cli.NewReportFile(o.report)
	if err != nil {
		return err
	}
	defer file.Discard()
	report, err := conformance.Run(cmd.Context(), c)
	if err != nil {
		return err
	}
	if err := file.Write(conformanceFile{"skrctl conformance", sbom.Version(), report}); err != nil {
		return err
	}
	if err := report.Printed().Write(io.Out, cli.StyleFor(o.output, io.Out, env)); err != nil || report.Conforms() {
		return err
	}
	return &unlikeError{o.sidecar + ": " + report.Count()}
}

// conformanceFile is the file of --report.
type conformanceFile struct {
	Program string `json:"program"`
	Version string `json:"version"`
	*conformance.Report
}

// unlikeError has exit code 3: the sidecar does not keep a contract.
type unlikeError struct{ text string }

func (e *unlikeError) Error() string { return e.text }
func (e *unlikeError) Unwrap() error { return refusal.ReleaseRejected }
