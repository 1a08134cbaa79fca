package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/jose/sign1"
	"skr/internal/operator/execpolicy"
	"skr/internal/operator/fragment"
)

func fragmentShowCommand(streams cli.Streams) *cobra.Command {
	var output string
	var rego bool
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Print what a fragment admits and who signed it",
		Long: "Prints the issuer, the feed, the svn, the containers and the imports of a fragment, which may be unsigned.\n" +
			"The first line says whether the signature is valid. To refuse a fragment whose signature is not valid, use\n" +
			"skrctl fragment verify. FILE may be -, which is standard input.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return showFragment(args[0], output, rego, streams) },
	}
	cmd.Flags().BoolVar(&rego, "rego", false, "print the Rego alone, as it was signed")
	cli.OutputFlag(cmd, &output)
	return cmd
}

func showFragment(path, output string, rego bool, streams cli.Streams) error {
	if err := cli.CheckOutput(output); err != nil {
		return err
	}
	data, err := readFragmentFile(path, streams.In)
	if err != nil {
		return err
	}
	view, text, err := describeFragment(data)
	if err != nil {
		return cli.BadUsage(fmt.Errorf("%s: %w", path, err))
	}
	switch {
	case rego:
		_, err := streams.Out.Write(text)
		return err
	case output == "json":
		return json.NewEncoder(streams.Out).Encode(view)
	}
	return view.writeText(streams.Out)
}

// describeFragment returns what a fragment says, verified or not, and its Rego.
func describeFragment(data []byte) (view *fragmentView, text []byte, err error) {
	if !bytes.HasPrefix(data, coseSign1) {
		policy, err := execpolicy.Parse(data)
		if err != nil {
			return nil, nil, err
		}
		return viewOfRego(policy), data, nil
	}
	f, verifyErr := fragment.Parse(data)
	if verifyErr == nil {
		return viewOf(f), f.Text(), nil
	}
	message, err := sign1.DecodeUnverified(data, execpolicy.MaxBytes)
	if err != nil {
		return nil, nil, err
	}
	policy, err := execpolicy.Parse(message.Payload)
	if err != nil {
		return nil, nil, err
	}
	view = viewOfRego(policy)
	view.Error = verifyErr.Error()
	return view, message.Payload, nil
}
