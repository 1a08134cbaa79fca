package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"skr/hsm"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/keyuse"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/internal/sidecar"
	"skr/keyrelease"
)

// releaseOptions are the flags of skr release.
type releaseOptions struct {
	authority, vault, key string
	alias, version        string
	accessTokenFile       string
	format, out           string
}

func releaseCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	var o releaseOptions
	cmd := &cobra.Command{
		Use:   "release {--alias NAME [--key-version VERSION] | --authority HOST --vault HOST --key NAME[/VERSION]}",
		Short: "Release one key and print it, or write it to a file",
		Long: "Releases one key without a running sidecar, for example in an init container. Exit codes:\n" +
			"0 released, 2 configuration, 3 refused, 4 unreachable, 5 no evidence, 6 answer not trusted, 1 any other error.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return releaseOnce(cmd, o, env, streams) },
	}
	flags := cmd.Flags()
	o.keyFlags(flags)
	flags.StringVar(&o.format, "format", "jwk", "jwk or pem (PKCS#8)")
	cli.OutFlag(cmd, &o.out, "file to write, mode 0600")
	return cmd
}

// keyFlags adds the flags that name the key and the access token.
func (o *releaseOptions) keyFlags(flags *pflag.FlagSet) {
	o.keyNames(flags)
	flags.StringVar(&o.alias, "alias", "", "alias in the section keys of the configuration; replaces --authority, --vault and --key")
	flags.StringVar(&o.version, "key-version", "", "version of the alias's key; the first of its versions if not set, usually the newest")
}

// keyNames adds the flags that name a key without an alias, and the access token.
func (o *releaseOptions) keyNames(flags *pflag.FlagSet) {
	flags.StringVar(&o.authority, "authority", "", "attestation service that the release policy names")
	flags.StringVar(&o.vault, "vault", "", "host of the Key Vault or Managed HSM")
	flags.StringVar(&o.key, "key", "", "key name, or name/version")
	flags.StringVar(&o.accessTokenFile, "access-token-file", "", "file with an access token to use instead of the pod's identity; - is standard input")
}

func releaseOnce(cmd *cobra.Command, o releaseOptions, env config.Environment, streams cli.Streams) error {
	if err := o.check(); err != nil {
		return cli.BadUsage(err)
	}
	s, parts, err := oneShot(cmd, env, streams)
	if err != nil {
		return err
	}
	req, err := o.request(parts, streams.In)
	if err == nil {
		err = parts.May(keyuse.Release, o.alias, req)
	}
	if err != nil {
		return err
	}
	parts.WarnOfMachine()
	ctx, cancel := context.WithTimeout(cmd.Context(), s.RequestTimeout)
	defer cancel()
	out, err := cli.OpenSecret(ctx, s, o.out, streams.Out)
	if err != nil {
		return err
	}
	defer out.Close()
	auditor, err := openAuditor(s, streams.Err)
	if err != nil {
		return err
	}
	key, err := retryThrottled(ctx, func() (*hsm.Key, error) {
		return sidecar.AuditedReleaser{Releaser: parts.Releaser, Auditor: auditor.Auditor}.Release(ctx, req)
	})
	defer key.Wipe()
	if err = errors.Join(err, auditor.close()); err != nil {
		return err
	}
	return o.write(key, out)
}

// retryThrottled repeats the release after the time that a throttling service names, until the
// deadline. An init container that ends instead forgets when it may ask again.
func retryThrottled(ctx context.Context, release func() (*hsm.Key, error)) (*hsm.Key, error) {
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
	case o.alias == "" && o.version != "":
		return errors.New("--key-version goes with --alias; without one, write --key NAME/VERSION")
	case o.alias == "" && (o.authority == "" || o.vault == "" || o.key == ""):
		return errors.New("--authority, --vault and --key are needed, or --alias")
	case o.alias != "" && (o.authority != "" || o.vault != "" || o.key != ""):
		return errors.New("--alias replaces --authority, --vault and --key: leave them out")
	}
	return nil
}

func (o releaseOptions) request(parts *sidecar.Parts, in io.Reader) (req keyrelease.Request, err error) {
	if o.alias == "" {
		req, err = parts.Parse(config.Alias{Vault: o.vault, Key: o.key, Authority: o.authority})
	} else {
		req, err = findAlias(parts, o.alias)
	}
	if err == nil && o.version != "" {
		req, err = req.At(o.version)
	}
	if err != nil {
		return req, err
	}
	req.Access, err = cli.ReadToken(o.accessTokenFile, in)
	return req, err
}

func (o releaseOptions) write(key *hsm.Key, out *cli.Output) error {
	encode := key.JWK
	if o.format == "pem" {
		encode = key.PEM
	}
	text, err := encode()
	if err != nil {
		return err
	}
	defer secmem.Wipe(text)
	if err = out.Write(text); err == nil && o.format == "jwk" && out.IsStandard() {
		err = out.Write([]byte("\n"))
	}
	return err
}

func findAlias(p *sidecar.Parts, name string) (keyrelease.Request, error) {
	request, found := p.Aliases[name]
	if !found {
		return request, cli.BadUsage(fmt.Errorf("--alias: the section keys of the configuration has no %q", name))
	}
	return request, nil
}
