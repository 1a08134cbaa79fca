package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"skr/internal/sidecar/server"
)

const maxRuntimeData = 192 << 10 // what the HTTP routes take, decoded

func attestCommand(env environment, io streams) *cobra.Command {
	attest := &cobra.Command{
		Use:   "attest",
		Short: "Print a report, evidence, or an attestation token of this machine",
		Args:  cobra.NoArgs,
	}
	var authority string
	combined := attestStep(env, io, "combined", "Print a report with its endorsements, as POST /attest/combined",
		func(ctx context.Context, p *sidecar, data []byte) (any, error) {
			evidence, err := p.attester.Evidence(ctx, data)
			if err != nil {
				return nil, err
			}
			return server.CombinedResponse(evidence, p.context.ReferenceInfo()), nil
		})
	token := attestStep(env, io, "maa", "Print an attestation token, as POST /attest/maa",
		func(ctx context.Context, p *sidecar, data []byte) (any, error) {
			maa, err := p.authorities.Parse(authority)
			if err != nil {
				return nil, err
			}
			result, err := p.releaser.Token(ctx, maa, data)
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
type step func(ctx context.Context, parts *sidecar, runtimeData []byte) (any, error)

func attestStep(env environment, io streams, name, short string, run step) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, parts, err := oneShot(cmd, env, io)
			if err != nil {
				return err
			}
			parts.tellMachine()
			data, err := readRuntimeData(file, io.in)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), s.RequestTimeout)
			defer cancel()
			answer, err := run(ctx, parts, data)
			if err != nil {
				return err
			}
			return printAnswer(io.out, answer)
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

func readRuntimeData(path string, in io.Reader) (data []byte, err error) {
	if path == "-" {
		data, err = io.ReadAll(io.LimitReader(in, maxRuntimeData+1))
	} else {
		data, err = readBounded(path, maxRuntimeData)
	}
	switch {
	case err != nil:
	case len(data) == 0:
		err = fmt.Errorf("%q is empty", path)
	case len(data) > maxRuntimeData:
		err = fmt.Errorf("%q is larger than %d bytes", path, maxRuntimeData)
	}
	if err != nil {
		return nil, &configError{fmt.Errorf("--runtime-data: %w", err)}
	}
	return data, nil
}
