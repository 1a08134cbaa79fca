package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"skr/attest"
	"skr/attest/maa"
	"skr/hsm"
	"skr/internal/azure/endpoint"
	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
)

const maxKeysFile = 1 << 20 // an authority's key set has some 100 KB

// tokenQuestion is what skr token verify is asked.
type tokenQuestion struct {
	viewOptions

	authority, signingKeys, policy, vault string
}

func tokenVerifyCommand(env environment, io streams) *cobra.Command {
	var q tokenQuestion
	cmd := &cobra.Command{
		Use:   "verify {FILE | --authority HOST}",
		Short: "Verify an attestation token, or a vault's release statement",
		Long: "Verifies a token with the keys that its authority publishes, or with those of --signing-keys, and prints each check with\n" +
			"its outcome and what to do. The authority is that of --authority, else the token's issuer if maa_allow has it.\n" +
			"A release statement is verified with the certificates in it, for the vault of --vault. FILE may be -, standard\n" +
			"input; without FILE this machine is attested. A flag that is not for what FILE is fails. The last line says what\n" +
			"was not looked at. Exit codes: 0 each check that is needed was made and none failed, 6 otherwise, 2 unreadable.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(q.check(), noEmptyFlags(cmd)); err != nil {
				return err
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

func (q *tokenQuestion) verify(cmd *cobra.Command, args []string, env environment, io streams) error {
	if err := oneStandardInput(append([]string{q.signingKeys, q.policy}, args...)...); err != nil {
		return err
	}
	s, parts, err := oneShot(cmd, env, io)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), s.RequestTimeout)
	defer cancel()
	source := tokenSource{q.authority, args, func() (*settings, *sidecar, error) { return s, parts, nil }}
	found, err := source.read(ctx, io.in)
	if err != nil {
		return err
	}
	if statement, ok := found.Statement(); ok {
		return q.verifyStatement(statement, q.asked(found), parts, env, io.out)
	}
	text, ok := found.Token()
	if !ok {
		return &configError{fmt.Errorf("only a whole attestation token or release statement can be verified; this is: %s", found)}
	}
	token, err := maa.ParseUnverified(text)
	if err != nil {
		return &configError{err}
	}
	trusted, err := q.trust(ctx, token, parts, io.in)
	if err != nil {
		return err
	}
	return q.print(verify.OfToken(token, trusted, q.asked(found)), env, io.out)
}

// asked is what the flags ask for, also where the file is not for them. Without a file
// --authority says whom to ask, and that is looked at, too.
func (q *tokenQuestion) asked(found inspect.Artefact) verify.Question {
	return verify.Question{
		At: q.when, Parts: found.Parts(),
		Authority: q.authority != "", SigningKeys: q.signingKeys != "", Policy: q.policy != "", Vault: q.vault != "",
	}
}

func (q *tokenQuestion) verifyStatement(statement *hsm.Statement, asked verify.Question, parts *sidecar, env environment, out io.Writer) error {
	if q.vault == "" {
		return &configError{fmt.Errorf("--vault is needed: this release statement says that it is of %s", statement.Host())}
	}
	vault, err := endpoint.ParseHost(q.vault)
	if err != nil {
		return &configError{fmt.Errorf("--vault: %w", err)}
	}
	return q.print(verify.OfStatement(statement, vault, parts.out.roots, asked), env, out)
}

// trust says whose token it must be, and with which keys to verify it.
func (q *tokenQuestion) trust(ctx context.Context, token *maa.Token, parts *sidecar, in io.Reader) (t verify.Trust, err error) {
	if q.policy != "" {
		if t.Policy, err = readPolicy(q.policy, in); err != nil {
			return t, err
		}
	}
	if q.authority == "" {
		t.Authority, t.AuthorityErr = parts.authorities.Parse(token.Issuer())
	} else if t.Authority, err = parts.authorities.Parse(q.authority); err != nil {
		return t, err
	}
	t.Signature, err = q.signature(ctx, t, parts.out, in)
	return t, err
}

// signature is nil where there is nobody whose keys to ask for.
func (q *tokenQuestion) signature(ctx context.Context, t verify.Trust, out *outbound, in io.Reader) (func(*maa.Token) error, error) {
	switch {
	case q.signingKeys != "":
		set, err := readKeys(q.signingKeys, in)
		if err != nil {
			return nil, &configError{fmt.Errorf("--signing-keys: %w", err)}
		}
		return func(token *maa.Token) error { return token.VerifySignature(set) }, nil
	case t.AuthorityErr != nil:
		return nil, nil //nolint:nilnil,nilerr // nobody to ask is a finding of the verdict
	}
	return askAuthority(ctx, t.Authority, out), nil
}

func askAuthority(ctx context.Context, authority attest.Authority, out *outbound) func(*maa.Token) error {
	client := maa.New(maa.Config{HTTP: out.maa.Transporter(), Now: time.Now})
	return func(token *maa.Token) error { return client.VerifyToken(ctx, authority, token) }
}

// readKeys reads a JWKS, or a certificate, whose key has no id.
func readKeys(path string, in io.Reader) (*maa.Keys, error) {
	data, err := readInput(path, maxKeysFile, in)
	if err != nil {
		return nil, err
	}
	keys, err := maa.ParseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}
