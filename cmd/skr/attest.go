package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/sidecar"
	"skr/internal/sidecar/server"
)

func attestCommand(env config.Environment, io cli.Streams) *cobra.Command {
	attest := &cobra.Command{
		Use:   "attest",
		Short: "Print a report, evidence, or an attestation token of this machine",
		Args:  cobra.NoArgs,
	}
	var authority string
	combined := attestStep(env, io, "combined", "Print a report with its endorsements, as POST /attest/combined",
		func(ctx context.Context, p *sidecar.Parts, data []byte) (any, error) {
			evidence, err := p.Attester.Evidence(ctx, data)
			if err != nil {
				return nil, err
			}
			return server.CombinedResponse(evidence, p.Context.ReferenceInfo()), nil
		})
	token := attestStep(env, io, "maa", "Print an attestation token, as POST /attest/maa",
		func(ctx context.Context, p *sidecar.Parts, data []byte) (any, error) {
			maa, err := p.Names.Authorities.Parse(authority)
			if err != nil {
				return nil, err
			}
			result, err := p.Releaser.Token(ctx, maa, data)
			if err != nil {
				return nil, err
			}
			return server.TokenResponse(result), nil
		})
	token.Flags().StringVar(&authority, "authority", "", "attestation service to ask")
	attest.AddCommand(attestRawCommand(env, io), combined, token)
	return attest
}

// step is a prefix of the pipeline over runtime data. It returns what is printed.
type step func(ctx context.Context, parts *sidecar.Parts, runtimeData []byte) (any, error)

func attestStep(env config.Environment, io cli.Streams, name, short string, run step) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, parts, err := oneShot(cmd, env, io)
			if err != nil {
				return err
			}
			parts.TellMachine()
			data, err := cli.ReadRuntimeData(file, io.In)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), s.RequestTimeout)
			defer cancel()
			answer, err := run(ctx, parts, data)
			if err != nil {
				return err
			}
			return printAnswer(io.Out, answer)
		},
	}
	cmd.Flags().StringVar(&file, "runtime-data", "-", "file whose SHA-256 becomes REPORT_DATA; - is standard input")
	return cmd
}

// printAnswer prints text as a line, and anything else as JSON.
func printAnswer(out io.Writer, answer any) error {
	if text, ok := answer.(string); ok {
		_, err := fmt.Fprintln(out, text)
		return err
	}
	return json.NewEncoder(out).Encode(answer)
}
