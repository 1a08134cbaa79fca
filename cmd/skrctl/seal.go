package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"skr/api"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/envelope"
	"skr/internal/jose/jwk"
	"skr/internal/refusal"
	"skr/internal/secmem"
)

// sealOptions are the flags of skrctl seal.
type sealOptions struct {
	access         keyAccess
	name           string // of a key in a vault
	file           string
	sidecar, alias string
	in, out        string
}

func sealCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	var o sealOptions
	cmd := &cobra.Command{
		Use:   "seal {--key FILE | NAME[/VERSION] --vault HOST | --sidecar URL --alias NAME} [--in FILE] [--out FILE]",
		Short: "Encrypt a secret to the public half of a key, for the pods that may release it",
		Long: "Encrypts up to 1 MiB to an RSA or EC key. Writes an envelope: a JWE in the compact form, which names the key and its\n" +
			"version, and which `skr exec` and sinks open. Any JOSE library can make one too. Nothing at a desk opens it.\n\n" +
			"FILE of --key has the public key: a JWK, PEM, the JSON of `skrctl key show`, or the answer of the vault's REST API or\n" +
			"of a sidecar's POST /key/public. Neither --key nor --sidecar needs a login.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.name = args[0]
			}
			return o.seal(cmd, env, streams)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.file, "key", "", "file with the public key; - is standard input")
	o.access.flags(cmd)
	flags.StringVar(&o.sidecar, "sidecar", "", "URL of a sidecar's listener, or unix:PATH")
	flags.StringVar(&o.alias, "alias", "", "alias of the key in the configuration of that sidecar")
	flags.StringVar(&o.in, "in", "-", "file with the secret, which is sealed byte for byte; - is standard input")
	cli.OutFlag(cmd, &o.out, "file for the envelope, mode 0644")
	return cmd
}

func (o *sealOptions) seal(cmd *cobra.Command, env config.Environment, streams cli.Streams) error {
	if err := o.check(cmd); err != nil {
		return err
	}
	out, err := cli.OpenOutput(cmd.Context(), o.out, cli.PublicMode, streams.Out)
	if err != nil {
		return err
	}
	defer out.Close()
	public, err := o.public(cmd, env, streams)
	if err != nil {
		return err
	}
	secret, err := cli.ReadInput(o.in, envelope.MaxSecret, streams.In)
	defer secmem.Wipe(secret)
	if err != nil {
		return cli.BadUsage(fmt.Errorf("--in: %w", err))
	}
	text, err := envelope.Seal(public, secret)
	if err != nil {
		return cli.BadUsage(err)
	}
	return out.Write([]byte(text + "\n"))
}

func (o *sealOptions) check(cmd *cobra.Command) error {
	sources := 0
	for _, given := range []bool{o.file != "", o.name != "", o.sidecar != ""} {
		if given {
			sources++
		}
	}
	switch {
	case sources != 1:
		return cli.Misused(cmd, "name the key once: with --key FILE, with NAME and --vault, or with --sidecar and --alias")
	case (o.name != "") != (o.access.vault != ""):
		return cli.Misused(cmd, "NAME and --vault go together")
	case (o.sidecar != "") != (o.alias != ""):
		return cli.Misused(cmd, "--sidecar and --alias go together")
	}
	return cli.OneStandardInput(o.file, o.in, o.access.tokenFile)
}

// public returns the public key, with its identifier where the source has it.
func (o *sealOptions) public(cmd *cobra.Command, env config.Environment, streams cli.Streams) (jwk.Key, error) {
	switch {
	case o.file != "":
		return readPublic(o.file, streams.In)
	case o.sidecar != "":
		return o.ofSidecar(cmd.Context())
	}
	key, err := o.access.read(cmd, o.name, env, streams)
	if err != nil {
		return jwk.Key{}, err
	}
	return publicHalf(key), nil
}

func (o *sealOptions) ofSidecar(ctx context.Context) (jwk.Key, error) {
	client, err := api.NewClient(api.Config{BaseURL: o.sidecar})
	if err != nil {
		return jwk.Key{}, cli.BadUsage(fmt.Errorf("--sidecar: %w", err))
	}
	key, err := client.KeptKey(ctx, o.alias)
	if err != nil {
		return jwk.Key{}, ofAPI(err)
	}
	public, err := jwk.FromPublic(key.Public())
	public.Kid = key.ID()
	return public, err
}

// ofAPI gives an error of a sidecar the exit code of its kind.
func ofAPI(err error) error {
	refused, ok := errors.AsType[*api.Error](err)
	if !ok {
		return refusal.Because(refusal.Unavailable, "the sidecar does not answer", err)
	}
	kind, known := kinds[refused.Code]
	if !known {
		kind = refusal.Unavailable
	}
	return refusal.Because(kind, "the sidecar does not give the public key", err)
}

var kinds = map[api.Code]*refusal.Kind{
	api.BadRequest: refusal.BadRequest, api.EndpointNotAllowed: refusal.EndpointNotAllowed, api.CallerNotAllowed: refusal.CallerNotAllowed,
	api.NoEvidence: refusal.NoEvidence, api.NoEndorsements: refusal.NoEndorsements, api.AttestationRejected: refusal.AttestationRejected,
	api.ReleaseRejected: refusal.ReleaseRejected, api.KeyNotFound: refusal.KeyNotFound, api.Throttled: refusal.Throttled,
	api.UntrustedResponse: refusal.Untrusted, api.Timeout: refusal.Timeout,
}
