package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"skr/hsm"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/keyrelease"
)

const maxTokenFile = 64 << 10 // access tokens have a few kilobytes

// releaseOptions are what one release needs beside the settings.
type releaseOptions struct {
	authority, vault, key string
	alias                 string
	accessTokenFile       string
	format, out           string
}

func releaseCommand(env environment, streams streams) *cobra.Command {
	var o releaseOptions
	cmd := &cobra.Command{
		Use:   "release {--alias NAME | --authority HOST --vault HOST --key NAME[/VERSION]}",
		Short: "Release one key and print it, or write it to a file",
		Long: "Releases one key without a running sidecar, as an init container does. Exit codes:\n" +
			"0 released, 2 configuration, 3 refused, 4 unreachable, 5 no evidence, 6 answer not trusted, 1 anything else.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return releaseOnce(cmd, o, env, streams) },
	}
	flags := cmd.Flags()
	o.keyFlags(flags)
	flags.StringVar(&o.format, "format", "jwk", "jwk or pem (PKCS#8)")
	outFlag(cmd, &o.out, "file to write, mode 0600")
	return cmd
}

// keyFlags name the key and who asks for it.
func (o *releaseOptions) keyFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.authority, "authority", "", "attestation service that the release policy names")
	flags.StringVar(&o.vault, "vault", "", "host of the Key Vault or Managed HSM")
	flags.StringVar(&o.key, "key", "", "key name, or name/version")
	flags.StringVar(&o.alias, "alias", "", "a key of the section keys of the configuration, in place of the three")
	flags.StringVar(&o.accessTokenFile, "access-token-file", "", "file with an access token, instead of our own identity; - is standard input")
}

func releaseOnce(cmd *cobra.Command, o releaseOptions, env environment, streams streams) error {
	if err := o.check(); err != nil {
		return &configError{err}
	}
	s, parts, err := oneShot(cmd, env, streams)
	if err != nil {
		return err
	}
	req, err := o.request(parts, streams.in)
	if err != nil {
		return err
	}
	parts.tellMachine()
	ctx, cancel := context.WithTimeout(cmd.Context(), s.RequestTimeout)
	defer cancel()
	out, err := s.openSecret(ctx, o.out, streams.out)
	if err != nil {
		return err
	}
	defer out.close()
	seen, err := openWitness(s, streams.err)
	if err != nil {
		return err
	}
	key, err := patiently(ctx, func() (*hsm.Key, error) { return witnessed{parts.releaser, seen.witness}.Release(ctx, req) })
	defer key.Wipe()
	if err = errors.Join(err, seen.close()); err != nil {
		return err
	}
	return o.write(key, out)
}

// patiently releases again when somebody who throttles says so, as long as the time
// lasts. An init container that ended instead would forget when it may ask.
func patiently(ctx context.Context, release func() (*hsm.Key, error)) (*hsm.Key, error) {
	for {
		key, err := release()
		refused, ok := errors.AsType[*refusal.Error](err)
		if !ok || refused.Kind != refusal.Throttled || refused.RetryAfter <= 0 {
			return key, err
		}
		if deadline, limited := ctx.Deadline(); limited && time.Until(deadline) < refused.RetryAfter {
			return key, err
		}
		select {
		case <-ctx.Done():
			return key, err
		case <-time.After(refused.RetryAfter):
		}
	}
}

func (o releaseOptions) check() error {
	if o.format != "jwk" && o.format != "pem" {
		return fmt.Errorf("--format: %q is none of jwk, pem", o.format)
	}
	return o.checkNames()
}

func (o releaseOptions) checkNames() error {
	switch {
	case o.alias == "" && (o.authority == "" || o.vault == "" || o.key == ""):
		return errors.New("--authority, --vault and --key are needed, or --alias")
	case o.alias != "" && (o.authority != "" || o.vault != "" || o.key != ""):
		return errors.New("--alias stands for --authority, --vault and --key: leave them out")
	}
	return nil
}

func (o releaseOptions) request(parts *sidecar, in io.Reader) (req keyrelease.Request, err error) {
	if o.alias == "" {
		req, err = parts.parse(alias{Vault: o.vault, Key: o.key, Authority: o.authority})
	} else {
		req, err = parts.find(o.alias)
	}
	if err != nil {
		return req, err
	}
	req.Access, err = readToken(o.accessTokenFile, in)
	return req, err
}

func readToken(path string, in io.Reader) (secmem.Text, error) {
	var data []byte
	var err error
	switch path {
	case "":
		return secmem.Text{}, nil
	case "-":
		data, err = io.ReadAll(io.LimitReader(in, maxTokenFile+1))
	default:
		data, err = readBounded(path, maxTokenFile)
	}
	token := strings.TrimSpace(string(data))
	switch {
	case err != nil:
	case token == "":
		err = fmt.Errorf("%q is empty", path)
	case len(data) > maxTokenFile:
		err = fmt.Errorf("%q is larger than %d bytes", path, maxTokenFile)
	}
	if err != nil {
		return secmem.Text{}, &configError{fmt.Errorf("--access-token-file: %w", err)}
	}
	return secmem.NewText(token), nil
}

func (o releaseOptions) write(key *hsm.Key, out *output) error {
	encode := key.JWK
	if o.format == "pem" {
		encode = key.PEM
	}
	text, err := encode()
	if err != nil {
		return err
	}
	defer secmem.Wipe(text)
	if err = out.write(text); err == nil && o.format == "jwk" && out.isStandard() {
		err = out.write([]byte("\n"))
	}
	return err
}
