package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"skr/attest"
	"skr/hsm"
	"skr/internal/azure/outbound"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/jose/jws"
	"skr/internal/operator/login"
	"skr/internal/secmem"
	"skr/internal/strictjson"
	"skr/releasepolicy"
	"skr/test/conformance"
)

// places returns the services that the flags name. The allow-lists say which hosts may get an access
// token, and for which audience.
func (o conformanceOptions) places(s *config.Settings) (authority attest.Authority, vaults []hsm.Vault, err error) {
	authorities, err := attest.ParseAuthorities(s.MAAAllow)
	if err != nil {
		return authority, nil, fmt.Errorf("maa_allow: %w", err)
	}
	if authority, err = authorities.Parse(o.authority); err != nil {
		return authority, nil, fmt.Errorf("--maa: %w", err)
	}
	allowed, err := hsm.ParseVaults(s.VaultAllow)
	if err != nil {
		return authority, nil, fmt.Errorf("vault_allow: %w", err)
	}
	for _, named := range []struct {
		flag, host string
		flavour    releasepolicy.Flavour
		other      string
	}{{"--vault", o.vault, releasepolicy.KeyVault, "--hsm"}, {"--hsm", o.hsm, releasepolicy.ManagedHSM, "--vault"}} {
		if named.host == "" {
			continue
		}
		v, err := allowed.ParseVault(named.host)
		if err != nil {
			return authority, nil, fmt.Errorf("%s: %w", named.flag, err)
		}
		if v.Flavour() != named.flavour {
			return authority, nil, fmt.Errorf("%s: %q is a %s; name it with %s", named.flag, v, v.Flavour(), named.other)
		}
		vaults = append(vaults, v)
	}
	return authority, vaults, nil
}

// access gets access tokens, each for the audience of one service.
type access struct {
	settings *config.Settings
	env      config.Environment
	clients  *outbound.Clients
	vaults   []hsm.Vault

	given, expired map[string]secmem.Text // by audience
}

func (a *access) read(files, expired []string) (err error) {
	if a.given, err = a.byAudience("--access-token-file", files); err != nil {
		return err
	}
	a.expired, err = a.byAudience("--expired-token-file", expired)
	return err
}

// byAudience reads tokens. A token goes only to the service that it is for.
func (a *access) byAudience(flag string, files []string) (map[string]secmem.Text, error) {
	tokens := make(map[string]secmem.Text, len(files))
	for _, path := range files {
		token, err := cli.ReadTokenOf(flag, path, nil)
		if err != nil {
			return nil, err
		}
		audience, err := audienceOf(token)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", flag, path, err)
		}
		if !a.hasAudience(audience) {
			return nil, fmt.Errorf("%s %s: the token is for %q, which is the audience of no vault named here", flag, path, audience)
		}
		tokens[audience] = token
	}
	return tokens, nil
}

func (a *access) hasAudience(audience string) bool {
	return slices.ContainsFunc(a.vaults, func(v hsm.Vault) bool { return v.Audience() == audience })
}

// audienceOf returns the audience of an access token, which is not verified: it only keeps a token from
// services that it is not for.
func audienceOf(token secmem.Text) (string, error) {
	text := token.Reveal()
	parsed, err := jws.Parse(text, len(text))
	if err != nil {
		return "", fmt.Errorf("it is not an access token: %w", err)
	}
	claims, err := strictjson.Parse(parsed.Payload)
	if err != nil {
		return "", fmt.Errorf("it is not an access token: its payload %w", err)
	}
	audience, _ := claims.Text("aud")
	return strings.TrimSuffix(audience, "/"), nil
}

// foreignAudience is another audience than that of any vault. A token for it opens no vault.
const foreignAudience = "https://attest.azure.net"

// provide sets where the run gets access tokens: from the files if there are any, and else from a login.
func (a *access) provide(c *conformance.Config) error {
	c.Expired = a.expired
	if len(a.given) > 0 || len(a.vaults) == 0 {
		c.Token = func(_ context.Context, audience string) (secmem.Text, error) {
			token, found := a.given[audience]
			if !found {
				return token, fmt.Errorf("no file of --access-token-file has a token for %s", audience)
			}
			return token, nil
		}
		return nil
	}
	source, err := login.Operator(a.settings, a.env, a.clients)
	if err != nil {
		return config.WrongSetting(err)
	}
	c.Token = source.AccessToken
	c.Foreign = func(ctx context.Context) (secmem.Text, error) { return c.Token(ctx, foreignAudience) }
	return nil
}
