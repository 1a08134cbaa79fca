package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/keyuse"
	"skr/internal/secmem"
	"skr/internal/sidecar"
	"skr/internal/sidecar/keyprovider"
	"skr/internal/sidecar/server"
)

const maxWrapFile = 256 << 10 // RSA wraps a few hundred bytes; an annotation is below 2 KiB

// wrapOptions are the flags of skr wrap.
type wrapOptions struct{ key, keys, in, out string }

func wrapCommand(env config.Environment, io cli.Streams) *cobra.Command {
	var o wrapOptions
	cmd := &cobra.Command{
		Use:   "wrap --key NAME [--wrap-keys DIR] [--in FILE] [--out FILE]",
		Short: "Wrap a secret with a public key",
		Long: "Wraps a few hundred bytes with RSA-OAEP and SHA-256, for machines that may release the private key. Writes an\n" +
			"annotation in base64, as in encrypted images. DIR contains NAME-info.json and NAME-pub.pem, which\n" +
			"`skrctl key create` writes.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, _, err := config.Load(cmd.Flags(), env)
			if err != nil {
				return err
			}
			o.keys = s.WrapKeys
			return o.wrap(cmd.Context(), io)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.key, "key", "", "name of the key")
	flags.StringVar(&o.in, "in", "-", "file with the secret; - is standard input")
	cli.OutFlag(cmd, &o.out, "file for the annotation, mode 0644")
	return cmd
}

func (o wrapOptions) wrap(ctx context.Context, streams cli.Streams) error {
	if o.key == "" || o.keys == "" {
		return cli.BadUsage(errors.New("--key and --wrap-keys are needed"))
	}
	keys, err := keyprovider.OpenKeys(o.keys)
	if err != nil {
		return cli.BadUsage(err)
	}
	defer func() { _ = keys.Close() }() // read only
	info, err := keys.Find(o.key)
	if err != nil {
		return cli.BadUsage(err)
	}
	secret, err := readSmall(o.in, streams.In)
	defer secmem.Wipe(secret)
	if err != nil {
		return err
	}
	annotation, err := info.Wrap(secret)
	if err != nil {
		return cli.BadUsage(err)
	}
	text := base64.StdEncoding.EncodeToString(annotation.Bytes())
	if o.out == cli.StandardOutput {
		text += "\n"
	}
	return cli.WriteOutput(ctx, o.out, []byte(text), cli.PublicMode, streams.Out)
}

func unwrapCommand(env config.Environment, io cli.Streams) *cobra.Command {
	var in, out string
	cmd := &cobra.Command{
		Use:   "unwrap [--in FILE] [--out FILE]",
		Short: "Release the key that an annotation names, and unwrap the secret in it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, parts, err := oneShot(cmd, env, io)
			if err != nil {
				return err
			}
			text, err := readSmall(in, io.In)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), s.RequestTimeout)
			defer cancel()
			file, err := cli.OpenSecret(ctx, s, out, io.Out)
			if err != nil {
				return err
			}
			defer file.Close()
			secret, err := unwrap(ctx, s, parts, text, io.Err)
			defer secmem.Wipe(secret)
			if err != nil {
				return err
			}
			return file.Write(secret)
		},
	}
	cmd.Flags().StringVar(&in, "in", "-", "file with the annotation, in base64 or JSON; - is standard input")
	cli.OutFlag(cmd, &out, "file for the secret, mode 0600")
	return cmd
}

// unwrap checks the annotation as strictly as the sidecar does.
func unwrap(ctx context.Context, s *config.Settings, parts *sidecar.Parts, text []byte, stderr io.Writer) ([]byte, error) {
	annotation, err := keyprovider.ParseFile(text)
	if err != nil {
		return nil, cli.BadUsage(fmt.Errorf("the annotation %w", err))
	}
	request, err := parts.Parse(config.Alias{Vault: annotation.Vault, Key: annotation.Key, Authority: annotation.Authority})
	if err != nil {
		return nil, err
	}
	if err := parts.May(keyuse.UnwrapKey, "", request); err != nil {
		return nil, err
	}
	parts.WarnOfMachine()
	auditor, err := openAuditor(s, stderr)
	if err != nil {
		return nil, err
	}
	key, err := sidecar.AuditedReleaser{Releaser: parts.Releaser, Auditor: auditor.Auditor}.Release(ctx, request)
	defer key.Wipe()
	if err = errors.Join(err, auditor.close()); err != nil {
		return nil, err
	}
	opener, err := keyuse.Open(key)
	if err != nil {
		return nil, err
	}
	return server.OpenAnnotation(opener, annotation)
}

// readSmall reads a secret or an annotation.
func readSmall(path string, in io.Reader) ([]byte, error) {
	data, err := cli.ReadInput(path, maxWrapFile, in)
	if err == nil && len(data) == 0 {
		err = errors.New("the file is empty")
	}
	if err != nil {
		return data, cli.BadUsage(fmt.Errorf("--in: %w", err))
	}
	return data, nil
}

// wrapsFile reports whether the drop-in's flags ask to wrap a file, and returns their values.
func wrapsFile(given *pflag.FlagSet) (o wrapOptions, asked bool, err error) {
	text := func(name string) string { return given.Lookup(name).Value.String() }
	in, key, out := text("infile"), text("keypath"), text("outfile")
	switch {
	case in == "" && key == "" && out == "":
		return o, false, nil
	case in == "" || key == "" || out == "":
		return o, false, cli.BadUsage(errors.New("-infile, -keypath and -outfile go together"))
	}
	return wrapOptions{in: in, out: out, key: filepath.Base(key), keys: filepath.Dir(key)}, true, nil
}
