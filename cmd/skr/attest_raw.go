package main

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/spf13/cobra"

	"skr/attest"
	"skr/attest/snp"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/refusal"
	"skr/internal/sidecar"
	"skr/internal/sidecar/server"
)

// attestRawCommand prints what the program get-snp-report of the reference prints: the
// report in hex, on one line (tools/get-snp-report/get-snp-report.c).
func attestRawCommand(env config.Environment, io cli.Streams) *cobra.Command {
	var output, reportData string
	raw := attestStep(env, io, "raw", "Print an attestation report in hex, as get-snp-report; or as POST /attest/raw",
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
			return cli.Misused(cmd, "--report-data stands for --runtime-data: leave one of them out")
		}
		return attestReportData(cmd, env, io, reportData, output)
	}
	raw.Flags().StringVar(&output, "output", "hex", "hex, or json as POST /attest/raw answers")
	raw.Flags().StringVar(&reportData, "report-data", "", "REPORT_DATA itself in hex, to which zeros are added up to 64 bytes; in place of --runtime-data")
	return raw
}

// printableReport is a line of hex, or the object that the HTTP route answers with.
func printableReport(evidence *attest.Evidence, output string, io cli.Streams) any {
	answer := server.RawResponse(evidence)
	if output == "json" {
		return answer
	}
	if answer.HCLReport != "" {
		_, _ = fmt.Fprintln(io.Err, "skr: REPORT_DATA binds the claims of the paravisor, and these the runtime data; --output json prints them too")
	}
	return answer.Report
}

// attestReportData prints a report whose REPORT_DATA the caller gave, which only
// the processor itself makes.
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
		return refusal.Newf(refusal.NoEvidence, "report_source is vtpm: a virtual TPM takes runtime data and no REPORT_DATA; use --runtime-data")
	}
	source, err := snp.NewSource(s.ReportSource)
	if err != nil {
		return config.WrongSetting(fmt.Errorf("report_source: %w", err))
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), s.RequestTimeout)
	defer cancel()
	report, err := source.Report(ctx, data)
	if err != nil {
		return refusal.Because(refusal.NoEvidence, err.Error(), err)
	}
	return printAnswer(io.Out, printableReport(&attest.Evidence{Report: report}, output, io))
}

func parseReportData(text string) (data snp.ReportData, err error) {
	decoded, err := hex.DecodeString(text)
	if err != nil || len(decoded) > len(data) {
		return data, fmt.Errorf("%q is not hex of at most %d bytes", text, len(data))
	}
	copy(data[:], decoded)
	return data, nil
}
