package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"skr/attest"
	"skr/attest/maa"
	"skr/hsm"
	"skr/internal/azure/endpoint"
	"skr/internal/azure/outbound"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/jose/jwk"
	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
)

const maxKeysFile = 1 << 20 // an authority's key set has some 100 KB

// tokenQuestion is what skrctl token verify is asked.
type tokenQuestion struct {
	viewOptions

	authority, signingKeys, policy, vault string
}

func tokenVerifyCommand(env config.Environment, io cli.Streams) *cobra.Command {
	var q tokenQuestion
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Verify an attestation token, or a vault's release statement",
		Long: "Verifies a token with the keys that its authority publishes, or with those of --signing-keys, and prints each check with\n" +
			"its outcome and what to do. The authority is that of --authority, else the token's issuer if maa_allow has it.\n" +
			"A release statement is verified with the certificates in it, for the vault of --vault. FILE may be -, standard\n" +
			"input; in a pod, `skr attest maa` prints a token. A flag that is not for what FILE is fails. The last line says\n" +
			"what was not looked at. Exit codes: 0 each check that is needed was made and none failed, 6 otherwise, 2 unreadable.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(q.check(), cli.NoEmptyFlags(cmd)); err != nil {
				return err
			}
			if len(args) == 0 {
				return needsFile(cmd, "skr attest maa")
			}
			return q.verify(cmd, args, env, io)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&q.authority, "authority", "", authorityUsage)
	flags.StringVar(&q.signingKeys, "signing-keys", "", "file with the authority's keys, a JWKS or one certificate as PEM, in place of asking it")
	flags.StringVar(&q.policy, "policy", "", "file with a release policy that the token must meet")
	flags.StringVar(&q.vault, "vault", "", "host of the vault that made a release statement")
	q.bind(cmd)
	return cmd
}

func (q *tokenQuestion) verify(cmd *cobra.Command, args []string, env config.Environment, io cli.Streams) error {
	if err := cli.OneStandardInput(append([]string{q.signingKeys, q.policy}, args...)...); err != nil {
		return err
	}
	d, err := openDesk(cmd, env, io)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), d.settings.RequestTimeout)
	defer cancel()
	found, err := readTokenFile(args[0], io.In)
	if err != nil {
		return err
	}
	if statement, ok := found.Statement(); ok {
		return q.verifyStatement(statement, q.asked(found), d.out, env, io.Out)
	}
	text, ok := found.Token()
	if !ok {
		return cli.BadUsage(fmt.Errorf("only a whole attestation token or release statement can be verified; this is: %s", found))
	}
	token, err := maa.ParseUnverified(text)
	if err != nil {
		return cli.BadUsage(err)
	}
	trusted, err := q.trust(ctx, token, d, io.In)
	if err != nil {
		return err
	}
	return q.print(verify.OfToken(token, trusted, q.asked(found)), env, io.Out)
}

// asked is what the flags ask for, also where the file is not for them.
func (q *tokenQuestion) asked(found inspect.Artefact) verify.Question {
	return verify.Question{
		At: q.when, Parts: found.Parts(),
		Authority: q.authority != "", SigningKeys: q.signingKeys != "", Policy: q.policy != "", Vault: q.vault != "",
	}
}

func (q *tokenQuestion) verifyStatement(statement *hsm.Statement, asked verify.Question, out *outbound.Clients, env config.Environment, stdout io.Writer) error {
	if q.vault == "" {
		return cli.BadUsage(fmt.Errorf("--vault is needed: this release statement says that it is of %s", statement.Host()))
	}
	vault, err := endpoint.ParseHost(q.vault)
	if err != nil {
		return cli.BadUsage(fmt.Errorf("--vault: %w", err))
	}
	return q.print(verify.OfStatement(statement, vault, out.Roots, asked), env, stdout)
}

// trust says whose token it must be, and with which keys to verify it.
func (q *tokenQuestion) trust(ctx context.Context, token *maa.Token, d *desk, in io.Reader) (t verify.Trust, err error) {
	if q.policy != "" {
		if t.Policy, err = readPolicy(q.policy, in); err != nil {
			return t, err
		}
	}
	authorities, err := d.authorities()
	if err != nil {
		return t, err
	}
	if q.authority == "" {
		t.Authority, t.AuthorityErr = authorities.Parse(token.Issuer())
	} else if t.Authority, err = authorities.Parse(q.authority); err != nil {
		return t, err
	}
	t.Signature, err = q.signature(ctx, t, d.out, in)
	return t, err
}

// signature is nil where there is nobody whose keys to ask for.
func (q *tokenQuestion) signature(ctx context.Context, t verify.Trust, out *outbound.Clients, in io.Reader) (func(*maa.Token) error, error) {
	switch {
	case q.signingKeys != "":
		set, err := readKeys(q.signingKeys, in)
		if err != nil {
			return nil, cli.BadUsage(fmt.Errorf("--signing-keys: %w", err))
		}
		return func(token *maa.Token) error { return token.VerifySignature(set) }, nil
	case t.AuthorityErr != nil:
		return nil, nil //nolint:nilnil,nilerr // nobody to ask is a finding of the verdict
	}
	return askAuthority(ctx, t.Authority, out), nil
}

func askAuthority(ctx context.Context, authority attest.Authority, out *outbound.Clients) func(*maa.Token) error {
	client := maa.New(maa.Config{HTTP: out.MAA, Now: time.Now})
	return func(token *maa.Token) error { return client.VerifyToken(ctx, authority, token) }
}

// readKeys reads a JWKS, or a certificate, whose key has no id.
func readKeys(path string, in io.Reader) (jwk.Set, error) {
	data, err := cli.ReadInput(path, maxKeysFile, in)
	if err != nil {
		return jwk.Set{}, err
	}
	text := bytes.TrimSpace(data)
	if bytes.HasPrefix(text, []byte("{")) {
		set, err := jwk.ParseSet(text)
		if err != nil {
			return set, fmt.Errorf("%s: %w", path, err)
		}
		return set, nil
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return jwk.Set{}, fmt.Errorf("%s: this is neither a JWKS nor one certificate as PEM", path)
	}
	key := jwk.Key{Kty: "RSA", X5c: []string{base64.StdEncoding.EncodeToString(block.Bytes)}}
	return jwk.Set{Keys: []jwk.Key{key}}, nil
}
