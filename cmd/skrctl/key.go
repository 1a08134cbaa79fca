package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"skr/hsm"
	"skr/internal/azure/entra"
	"skr/internal/azure/httpclient"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/login"
	"skr/internal/operator/provision"
	"skr/internal/secmem"
)

func keyCommand(env config.Environment, io cli.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make keys that can be released, and look at them",
		Long: "Makes keys of Key Vault and Managed HSM, and looks at them, in the name of whoever is logged in: the\n" +
			"environment, workload identity, managed identity, the Azure CLI or the Azure Developer CLI.",
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(keyCreateCommand(env, io), keyImportCommand(env, io),
		keyShowCommand(env, io), keyPublicCommand(env, io), keyListCommand(env, io))
	return cmd
}

// keyDesk is where keys are managed: no attester and no authority, but the
// allow-list of vaults and an identity.
type keyDesk struct {
	*desk

	vaults   *hsm.Vaults
	identity *entra.Source
}

func openKeyDesk(cmd *cobra.Command, env config.Environment, streams cli.Streams) (*keyDesk, error) {
	d, err := openDesk(cmd, env, streams)
	if err != nil {
		return nil, err
	}
	desk := &keyDesk{desk: d}
	if desk.vaults, err = hsm.ParseVaults(managed(d.settings)); err != nil {
		return nil, config.WrongSetting(fmt.Errorf("vault_allow: %w", err))
	}
	if desk.identity, err = person(d.settings, env, desk.out); err != nil {
		return nil, config.WrongSetting(err)
	}
	return desk, nil
}

// managed is the allow-list of vaults for people: a new key has no alias yet.
func managed(s *config.Settings) []string {
	if s.Origins["vault_allow"] == config.ByAliases {
		return hsm.DefaultVaults()
	}
	return s.VaultAllow
}

// find is the key that a command names, if the allow-list holds it.
func (d *keyDesk) find(vault, name string) (hsm.KeyID, error) {
	if vault == "" {
		return hsm.KeyID{}, cli.BadUsage(errors.New("--vault is needed: the host of a Key Vault or Managed HSM"))
	}
	if _, err := d.vaults.ParseVault(vault); err != nil {
		return hsm.KeyID{}, err
	}
	return d.vaults.Parse(vault, name)
}

// open asks for an access token, for the audience of the allow-list.
func (d *keyDesk) open(ctx context.Context, vault hsm.Vault, access secmem.Text) (*provision.Vault, error) {
	if access.IsZero() {
		var err error
		if access, err = d.identity.AccessToken(ctx, vault.Audience()); err != nil {
			return nil, noIdentity(err)
		}
	}
	once := httpclient.New(httpclient.Config{
		Service: "the vault", Transport: d.out.Public, Timeout: d.settings.RequestTimeout, Retry: httpclient.Retry{Attempts: 1},
	})
	return provision.Open(provision.Config{
		Vault: vault, Access: access, APIVersion: d.settings.VaultAPIVersion,
		Reads: d.out.Vault.Transporter(), Writes: once.Transporter(),
	})
}

// noIdentity is for the person who configures to mend.
func noIdentity(err error) error {
	if errors.Is(err, login.ErrNoIdentity) {
		return cli.BadUsage(err)
	}
	return err
}

// keyAccess is what every key command needs to be let in.
type keyAccess struct{ vault, tokenFile string }

func (a *keyAccess) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.vault, "vault", "", "host of the Key Vault or Managed HSM")
	cmd.Flags().StringVar(&a.tokenFile, "access-token-file", "", "file with an access token, used instead of a login; - is standard input")
}

// visit opens the vault of a command that only looks.
func (a *keyAccess) visit(ctx context.Context, desk *keyDesk, vault hsm.Vault, in io.Reader) (*provision.Vault, error) {
	access, err := cli.ReadToken(a.tokenFile, in)
	if err != nil {
		return nil, err
	}
	return desk.open(ctx, vault, access)
}
