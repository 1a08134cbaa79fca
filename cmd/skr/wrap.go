package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"skr/internal/secmem"
	"skr/internal/sidecar/keyprovider"
	"skr/internal/sidecar/server"
)

const maxWrapFile = 256 << 10 // RSA wraps some hundred bytes; an annotation has below 2 KiB

// wrapOptions say what to wrap, and with which key of which directory.
type wrapOptions struct{ key, keys, in, out string }

func wrapCommand(env environment, io streams) *cobra.Command {
	var o wrapOptions
	cmd := &cobra.Command{
		Use:   "wrap --key NAME [--wrap-keys DIR] [--in FILE] [--out FILE]",
		Short: "Wrap a secret with a public key, for whoever may release the private one",
		Long: "Wraps some hundred bytes by RSA-OAEP with SHA-256 and writes an annotation in base64, as encrypted\n" +
			"images hold it. The directory has NAME-info.json and NAME-pub.pem, as `skr key create` writes them.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, _, err := load(cmd.Flags(), env)
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
	outFlag(cmd, &o.out, "file for the annotation, mode 0644")
	return cmd
}

func (o wrapOptions) wrap(ctx context.Context, streams streams) error {
	if o.key == "" || o.keys == "" {
		return &configError{errors.New("--key and --wrap-keys are needed")}
	}
	keys, err := keyprovider.OpenKeys(o.keys)
	if err != nil {
		return &configError{err}
	}
	defer func() { _ = keys.Close() }() // read only
	info, err := keys.Find(o.key)
	if err != nil {
		return &configError{err}
	}
	secret, err := readSmall(o.in, streams.in)
	defer secmem.Wipe(secret)
	if err != nil {
		return err
	}
	annotation, err := info.Wrap(secret)
	if err != nil {
		return &configError{err}
	}
	text := base64.StdEncoding.EncodeToString(annotation.Bytes())
	if o.out == standardOutput {
		text += "\n"
	}
	return writeOutput(ctx, o.out, []byte(text), publicMode, streams.out)
}

func unwrapCommand(env environment, io streams) *cobra.Command {
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
			text, err := readSmall(in, io.in)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), s.RequestTimeout)
			defer cancel()
			file, err := s.openSecret(ctx, out, io.out)
			if err != nil {
				return err
			}
			defer file.close()
			secret, err := unwrap(ctx, s, parts, text, io.err)
			defer secmem.Wipe(secret)
			if err != nil {
				return err
			}
			return file.write(secret)
		},
	}
	cmd.Flags().StringVar(&in, "in", "-", "file with the annotation, in base64 or JSON; - is standard input")
	outFlag(cmd, &out, "file for the secret, mode 0600")
	return cmd
}

// unwrap trusts the annotation no more than the sidecar does.
func unwrap(ctx context.Context, s *settings, parts *sidecar, text []byte, stderr io.Writer) ([]byte, error) {
	annotation, err := keyprovider.ParseFile(text)
	if err != nil {
		return nil, &configError{fmt.Errorf("the annotation %w", err)}
	}
	request, err := parts.parse(alias{Vault: annotation.Vault, Key: annotation.Key, Authority: annotation.Authority})
	if err != nil {
		return nil, err
	}
	parts.tellMachine()
	seen, err := openWitness(s, stderr)
	if err != nil {
		return nil, err
	}
	key, err := witnessed{parts.releaser, seen.witness}.Release(ctx, request)
	defer key.Wipe()
	if err = errors.Join(err, seen.close()); err != nil {
		return nil, err
	}
	opener, err := key.Decrypter()
	if err != nil {
		return nil, err
	}
	return server.OpenAnnotation(opener, annotation)
}

// readSmall reads what is wrapped, or an annotation.
func readSmall(path string, in io.Reader) ([]byte, error) {
	data, err := readInput(path, maxWrapFile, in)
	if err == nil && len(data) == 0 {
		err = errors.New("there is nothing to read")
	}
	if err != nil {
		return data, &configError{fmt.Errorf("--in: %w", err)}
	}
	return data, nil
}
