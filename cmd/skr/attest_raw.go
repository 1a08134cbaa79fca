package main

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/spf13/cobra"

	"skr/attest"
	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/refusal"
	"skr/internal/sidecar"
	"skr/internal/sidecar/server"
)

// attestRawCommand prints the same as get-snp-report of the reference: the report in hex, on one
// line (tools/get-snp-report/get-snp-report.c). On TDX it prints the quote.
func attestRawCommand(env config.Environment, io cli.Streams) *cobra.Command {
	var output, reportData string
	raw := attestStep(env, io, "raw", "Print an attestation report, in hex or like POST /attest/raw",
		func(ctx context.Context, p *sidecar.Parts, data []byte) (any, error) {
			evidence, err := p.Attester.Report(ctx, data)
			if err != nil {
				return nil, err
			}
			return printableReport(evidence, output, io), nil
		})
	overRuntimeData := raw.RunE
	raw.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case output != "hex" && output != "json":
			return cli.BadUsage(fmt.Errorf("--output: %q is none of hex, json", output))
		case !cmd.Flags().Changed("report-data"):
			return overRuntimeData(cmd, args)
		case cmd.Flags().Changed("runtime-data"):
			return cli.Misused(cmd, "--report-data replaces --runtime-data: use one of them")
		}
		return attestReportData(cmd, env, io, reportData, output)
	}
	raw.Flags().StringVar(&output, "output", "hex", "hex, or json like the answer of POST /attest/raw")
	raw.Flags().StringVar(&reportData, "report-data", "", "REPORT_DATA in hex, padded with zeros to 64 bytes; replaces --runtime-data")
	return raw
}

// printableReport returns a line of hex, or the answer of the HTTP route.
func printableReport(evidence *attest.Evidence, output string, io cli.Streams) any {
	answer := server.RawResponse(evidence)
	if output == "json" {
		return answer
	}
	if answer.HCLReport != "" {
		_, _ = fmt.Fprintln(io.Err, "skr: REPORT_DATA binds the claims of the paravisor, and the claims bind the runtime data; --output json prints the claims too")
	}
	if evidence.TDQuote != nil {
		return hex.EncodeToString(evidence.TDQuote.Raw())
	}
	return answer.Report
}

// attestReportData prints a report with the REPORT_DATA of the caller. Only the processor makes
// such a report.
func attestReportData(cmd *cobra.Command, env config.Environment, io cli.Streams, text, output string) error {
	data, err := parseReportData(text)
	if err != nil {
		return cli.BadUsage(fmt.Errorf("--report-data: %w", err))
	}
	s, _, err := config.Load(cmd.Flags(), env)
	if err != nil {
		return err
	}
	if s.ReportSource == config.VirtualTPM {
		return refusal.Newf(refusal.NoEvidence, "report_source is vtpm: a virtual TPM accepts only runtime data, not REPORT_DATA; use --runtime-data")
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), s.RequestTimeout)
	defer cancel()
	evidence, err := reportOver(ctx, s, data)
	if err != nil {
		return err
	}
	return printAnswer(io.Out, printableReport(evidence, output, io))
}

// reportOver asks the sources of SEV-SNP reports, and then that of TDX quotes.
func reportOver(ctx context.Context, s *config.Settings, data snp.ReportData) (*attest.Evidence, error) {
	source, err := snp.NewSource(s.ReportSource)
	if err != nil {
		return nil, config.WrongSetting(fmt.Errorf("report_source: %w", err))
	}
	report, err := source.Report(ctx, data)
	if err == nil {
		return &attest.Evidence{Report: report}, nil
	}
	if s.ReportSource == config.Automatic || s.ReportSource == config.ConfigFS {
		quote, noQuote := attest.NewTDGuest().Quote(ctx, tdx.ReportData(data))
		if noQuote == nil {
			return &attest.Evidence{TDQuote: quote}, nil
		}
		err = fmt.Errorf("%w; %w", err, noQuote)
	}
	return nil, refusal.Because(refusal.NoEvidence, err.Error(), err)
}

func parseReportData(text string) (data snp.ReportData, err error) {
	decoded, err := hex.DecodeString(text)
	if err != nil || len(decoded) > len(data) {
		return data, fmt.Errorf("%q is not hex of at most %d bytes", text, len(data))
	}
	copy(data[:], decoded)
	return data, nil
}
