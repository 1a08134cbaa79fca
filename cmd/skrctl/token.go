package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/inspect"
)

func tokenCommand(env config.Environment, io cli.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Show or verify an attestation token or a release statement",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(tokenShowCommand(io), tokenVerifyCommand(env, io))
	return cmd
}

func tokenShowCommand(io cli.Streams) *cobra.Command {
	var view viewOptions
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Print each claim of a token with its meaning",
		Long: "Prints the decoded content of an attestation token, its claims, another JWS, or a release statement of a vault.\n" +
			"FILE may be - for standard input. In a pod, `skr attest maa` prints a token.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := view.check(); err != nil {
				return err
			}
			if len(args) == 0 {
				return needsFile(cmd, "skr attest maa")
			}
			artefact, err := readTokenFile(args[0], io.In)
			if err != nil {
				return err
			}
			return view.show(artefact, io.Out)
		},
	}
	view.bind(cmd)
	return cmd
}

func readTokenFile(path string, in io.Reader) (inspect.Artefact, error) {
	artefact, err := readArtefact(path, in)
	if err != nil {
		return artefact, err
	}
	switch artefact.Kind() {
	case inspect.MAAToken, inspect.Claims, inspect.SignedObject, inspect.ReleaseStatement:
		return artefact, nil
	}
	return artefact, cli.BadUsage(fmt.Errorf("%s: this is not a token; it is: %s", path, artefact))
}
