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
		Short: "Print a report, evidence or an attestation token of this machine",
		Args:  cobra.NoArgs,
	}
	var authority string
	combined := attestStep(env, io, "combined", "Print a report with its endorsements, like POST /attest/combined",
		func(ctx context.Context, p *sidecar.Parts, data []byte) (any, error) {
			evidence, err := p.Attester.Evidence(ctx, data)
			if err != nil {
				return nil, err
			}
			return server.CombinedResponse(evidence, p.Context.ReferenceInfo()), nil
		})
	token := attestStep(env, io, "maa", "Print an attestation token, like POST /attest/maa",
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
	token.Flags().StringVar(&authority, "authority", "", "attestation service that issues the token")
	attest.AddCommand(attestRawCommand(env, io), combined, token)
	return attest
}

// step runs the first steps of a release over runtime data. It returns the answer to print.
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
			parts.WarnOfMachine()
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

// printAnswer prints a string as a line and any other value as JSON.
func printAnswer(out io.Writer, answer any) error {
	if text, ok := answer.(string); ok {
		_, err := fmt.Fprintln(out, text)
		return err
	}
	return json.NewEncoder(out).Encode(answer)
}
