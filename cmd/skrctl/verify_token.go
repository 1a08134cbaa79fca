package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"skr/attest"
	"skr/attest/maa"
	"skr/internal/azure/endpoint"
	"skr/internal/azure/outbound"
	"skr/internal/cli"
	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
)

const maxKeysFile = 1 << 20 // the keys of an authority have about 100 KB

// token verifies an attestation token.
func (v *verifier) token(ctx context.Context, artefact inspect.Artefact) (*verify.Verdict, error) {
	text, _ := artefact.Token()
	token, err := maa.ParseUnverified(text)
	if err != nil {
		return nil, cli.BadUsage(err)
	}
	trusted, err := v.trust(ctx, token)
	if err != nil {
		return nil, err
	}
	return verify.OfToken(token, trusted, v.question(artefact)), nil
}

// statement verifies a vault's release statement.
func (v *verifier) statement(artefact inspect.Artefact) (*verify.Verdict, error) {
	statement, _ := artefact.Statement()
	if v.vault == "" {
		return nil, cli.BadUsage(fmt.Errorf("--vault is needed; the release statement names %s", statement.Host()))
	}
	vault, err := endpoint.ParseHost(v.names().vault(v.vault))
	if err != nil {
		return nil, cli.BadUsage(fmt.Errorf("--vault: %w", err))
	}
	return verify.OfStatement(statement, vault, v.out.Roots, v.question(artefact)), nil
}

// question returns which checks the flags ask for. An alias may ask for a check that does not apply,
// which then fails.
func (v *verifier) question(artefact inspect.Artefact) verify.Question {
	return verify.Question{
		At: v.when, Parts: artefact.Parts(),
		Authority: v.authority != "", SigningKeys: v.signingKeys != "", Policy: v.policy != "", Vault: v.vault != "",
	}
}

// trust returns the authority that must have issued the token, and how to verify the token.
func (v *verifier) trust(ctx context.Context, token *maa.Token) (t verify.Trust, err error) {
	if v.policy != "" {
		if t.Policy, err = readPolicy(v.policy, v.in); err != nil {
			return t, err
		}
	}
	authorities, err := v.authorities()
	if err != nil {
		return t, err
	}
	if v.authority == "" {
		t.Authority, t.AuthorityErr = authorities.Parse(token.Issuer())
	} else if t.Authority, err = authorities.Parse(v.names().authority(v.authority)); err != nil {
		return t, err
	}
	t.Signature, err = v.signatureCheck(ctx, t)
	return t, err
}

// signatureCheck returns nil if there is no allowed authority whose keys could be used.
func (v *verifier) signatureCheck(ctx context.Context, t verify.Trust) (func(*maa.Token) error, error) {
	switch {
	case v.signingKeys != "":
		set, err := readKeys(v.signingKeys, v.in)
		if err != nil {
			return nil, cli.BadUsage(fmt.Errorf("--signing-keys: %w", err))
		}
		return func(token *maa.Token) error { return token.VerifySignature(set) }, nil
	case t.AuthorityErr != nil:
		return nil, nil //nolint:nilnil,nilerr // the verdict reports the missing authority
	}
	return askAuthority(ctx, t.Authority, v.out), nil
}

func askAuthority(ctx context.Context, authority attest.Authority, out *outbound.Clients) func(*maa.Token) error {
	client := maa.New(maa.Config{HTTP: out.MAA.Transporter(), Now: time.Now})
	return func(token *maa.Token) error { return client.VerifyToken(ctx, authority, token) }
}

// readKeys reads a JWKS or a certificate. The key of a certificate has no id.
func readKeys(path string, in io.Reader) (*maa.Keys, error) {
	data, err := cli.ReadInput(path, maxKeysFile, in)
	if err != nil {
		return nil, err
	}
	keys, err := maa.ParseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}
