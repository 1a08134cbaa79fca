package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"skr/internal/azure/outbound"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/inspect"
	"skr/internal/sbom"
	"skr/test/conformance"
)

// conformanceOptions are the flags of conformance.
type conformanceOptions struct {
	authority, vault, hsm    string
	tokenFiles, expiredFiles []string
	evidence, runtimeData    string
	report                   string
	write, names             bool
}

func conformanceCommand(out, errOut io.Writer) *cobra.Command {
	var o conformanceOptions
	cmd := &cobra.Command{
		Use:   "conformance",
		Short: "Compare Azure, or the emulator, with what Azure documents",
		Long: "Sends requests to an attestation service, a Key Vault and a Managed HSM, and compares the answers with what\n" +
			"Azure documents. It reads only, unless --write is set. The identity comes from the first of: the environment,\n" +
			"workload identity, managed identity, the Azure CLI, the Azure Developer CLI; or from --access-token-file.\n\n" +
			"  skr-emulator conformance \\\n" +
			"    --maa sharedeus.eus.attest.azure.net --vault contoso.vault.azure.net \\\n" +
			"    --report report.json\n\n" +
			"The report has no secret, no host name and no identifier. Exit code 0: no difference; 1: differences; 2: wrong usage.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd, out, errOut) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.authority, "maa", "", "host or URL of the attestation service; needs no access token")
	flags.StringVar(&o.vault, "vault", "", "host or URL of a Key Vault")
	flags.StringVar(&o.hsm, "hsm", "", "host or URL of a Managed HSM")
	flags.BoolVar(&o.write, "write", false, "also create keys, with names that begin with skr-conformance-, and delete and purge them")
	flags.StringVar(&o.report, "report", "", "file for the report, in JSON")
	flags.StringVar(&o.evidence, "evidence", "", "evidence of a machine: the answer of skr attest combined or of /attest/combined")
	flags.StringVar(&o.runtimeData, "runtime-data", "", "file with the runtime data that the evidence binds")
	flags.StringArrayVar(&o.tokenFiles, "access-token-file", nil, "file with an access token, used instead of a login; may be repeated, one for each audience")
	flags.StringArrayVar(&o.expiredFiles, "expired-token-file", nil, "file with an access token that has expired, for the check of that; may be repeated")
	flags.BoolVar(&o.names, "names", false, "keep the host names in the report")
	all := new(config.Settings).Flags()
	for _, setting := range []string{"maa-allow", "vault-allow", "ca-file"} {
		flags.AddFlag(all.Lookup(setting))
	}
	return cmd
}

// run makes the checks. The report's file is created first, so that a wrong path shows early.
func (o conformanceOptions) run(cmd *cobra.Command, out, errOut io.Writer) error {
	if err := cli.NoEmptyFlags(cmd); err != nil {
		return err
	}
	switch {
	case o.authority == "":
		return cli.Misused(cmd, "--maa is needed")
	case o.write && o.vault == "" && o.hsm == "":
		return cli.Misused(cmd, "--write needs --vault or --hsm")
	}
	file, err := cli.NewReportFile(o.report)
	if err != nil {
		return err
	}
	defer file.Discard()
	c, err := o.config(cmd)
	if err != nil {
		return err
	}
	c.Progress = func(outcome conformance.Outcome) { _ = outcome.Write(errOut) } // progress that cannot be printed is lost
	report, err := conformance.Run(cmd.Context(), c)
	if err != nil {
		return err
	}
	return errors.Join(report.WriteSummary(out), file.Write(report), verdict(cmd.Context(), report))
}

// verdict returns the error for the exit code.
func verdict(ctx context.Context, report *conformance.Report) error {
	switch {
	case ctx.Err() != nil:
		return cli.Status(cli.ExitInternal, errors.New("interrupted"))
	case len(report.Left) > 0:
		return cli.Status(cli.ExitInternal, fmt.Errorf("%s could not be removed", cli.Plural(len(report.Left), "key")))
	case !report.Passed():
		return cli.Status(cli.ExitInternal, nil)
	}
	return nil
}

func (o conformanceOptions) config(cmd *cobra.Command) (c conformance.Config, err error) {
	env := config.OSEnvironment()
	settings, _, err := config.Load(cmd.Flags(), env)
	if err != nil {
		return c, err
	}
	clients, err := outbound.New(settings, nil)
	if err != nil {
		return c, config.WrongSetting(err)
	}
	c = conformance.Config{Transport: clients.Public, Write: o.write, Names: o.names, Program: sbom.Version()}
	if c.Authority, c.Vaults, err = o.places(settings); err != nil {
		return c, cli.BadUsage(err)
	}
	if c.Evidence, c.RuntimeData, err = o.machine(); err != nil {
		return c, cli.BadUsage(err)
	}
	access := access{settings: settings, env: env, clients: clients, vaults: c.Vaults}
	if err := access.read(o.tokenFiles, o.expiredFiles); err != nil {
		return c, cli.BadUsage(err)
	}
	return c, access.provide(&c)
}

// machine reads the evidence, whose report must bind the runtime data.
func (o conformanceOptions) machine() (*inspect.Evidence, []byte, error) {
	if o.evidence == "" {
		if o.runtimeData != "" {
			return nil, nil, errors.New("--runtime-data: it belongs to --evidence")
		}
		return nil, nil, nil
	}
	text, err := cli.ReadInput(o.evidence, inspect.MaxBytes, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("--evidence: %w", err)
	}
	artefact, err := inspect.Recognise(text)
	if err != nil {
		return nil, nil, fmt.Errorf("--evidence %s: %w", o.evidence, err)
	}
	evidence, _ := artefact.Evidence()
	var data []byte
	if o.runtimeData != "" {
		if data, err = cli.ReadRuntimeData(o.runtimeData, nil); err != nil {
			return nil, nil, err
		}
	}
	return &evidence, data, conformance.CheckEvidence(&evidence, data)
}
