package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"skr/internal/operator/inspect"
)

func tokenCommand(env environment, io streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Show or verify an attestation token or a release statement",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(tokenShowCommand(env, io), tokenVerifyCommand(env, io))
	return cmd
}

const authorityUsage = "attestation service that issued the token, or that is asked for one"

func tokenShowCommand(env environment, io streams) *cobra.Command {
	var view viewOptions
	var authority string
	cmd := &cobra.Command{
		Use:   "show {FILE | --authority HOST}",
		Short: "Print each claim of a token with its meaning",
		Long: "Takes an attestation token, its claims, another JWS, or a vault's release statement, and prints them decoded.\n" +
			"FILE may be -, standard input; without FILE this machine is attested.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := view.check(); err != nil {
				return err
			}
			source := tokenSource{authority, args, func() (*settings, *sidecar, error) { return oneShot(cmd, env, io) }}
			found, err := source.read(cmd.Context(), io.in)
			if err != nil {
				return err
			}
			return view.show(found, io.out)
		},
	}
	cmd.Flags().StringVar(&authority, "authority", "", authorityUsage)
	view.bind(cmd)
	return cmd
}

// tokenSource is a file, or the authority that this machine is to ask.
type tokenSource struct {
	authority string
	args      []string
	assemble  func() (*settings, *sidecar, error) // a file needs no configuration
}

func (t tokenSource) read(ctx context.Context, in io.Reader) (inspect.Artefact, error) {
	if len(t.args) == 0 {
		return t.attest(ctx)
	}
	found, err := readArtefact(t.args[0], in)
	if err != nil {
		return found, err
	}
	switch found.Kind() {
	case inspect.MAAToken, inspect.Claims, inspect.SignedObject, inspect.ReleaseStatement:
		return found, nil
	}
	return found, &configError{fmt.Errorf("%s: this is no token; it is: %s", t.args[0], found)}
}

func (t tokenSource) attest(ctx context.Context) (inspect.Artefact, error) {
	if t.authority == "" {
		return inspect.Artefact{}, &configError{errors.New("--authority is needed to attest this machine; else name a file")}
	}
	s, parts, err := t.assemble()
	if err != nil {
		return inspect.Artefact{}, err
	}
	parts.tellMachine()
	authority, err := parts.authorities.Parse(t.authority)
	if err != nil {
		return inspect.Artefact{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.RequestTimeout)
	defer cancel()
	result, err := parts.releaser.Token(ctx, authority, fresh())
	if err != nil {
		return inspect.Artefact{}, err
	}
	return inspect.Recognise([]byte(result.Token.Reveal()))
}
