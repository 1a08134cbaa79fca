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
		Short: "Create, show, rotate and delete keys that can be released",
		Long: "Manages keys of Key Vault and Managed HSM. The identity comes from the first of: the environment,\n" +
			"workload identity, managed identity, the Azure CLI, the Azure Developer CLI.",
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(keyCreateCommand(env, io), keyImportCommand(env, io),
		keyPolicyCommand(env, io), keyShowCommand(env, io), keyPublicCommand(env, io), keyListCommand(env, io))
	cmd.AddCommand(keyRotateCommand(env, io), keyEnableCommand(env, io), keyDisableCommand(env, io), keyExpireCommand(env, io),
		keyTagCommand(env, io), keyDeleteCommand(env, io), keyRecoverCommand(env, io), keyPurgeCommand(env, io),
		keyBackupCommand(env, io), keyRestoreCommand(env, io))
	return cmd
}

// keyDesk holds what a command needs to manage keys: the allow-list of vaults and an identity.
type keyDesk struct {
	*desk

	vaults   *hsm.Vaults
	identity *entra.Source
	patience provision.Patience
}

func openKeyDesk(cmd *cobra.Command, env config.Environment, streams cli.Streams) (*keyDesk, error) {
	d, err := openDesk(cmd, env, streams)
	if err != nil {
		return nil, err
	}
	desk := &keyDesk{desk: d}
	if desk.vaults, err = hsm.ParseVaults(allowedVaults(d.settings)); err != nil {
		return nil, config.WrongSetting(fmt.Errorf("vault_allow: %w", err))
	}
	if desk.identity, err = login.Operator(d.settings, env, desk.out); err != nil {
		return nil, config.WrongSetting(err)
	}
	return desk, nil
}

// allowedVaults returns the allow-list of vaults. Aliases do not narrow it, because a new key has none.
func allowedVaults(s *config.Settings) []string {
	if s.Origins["vault_allow"] == config.ByAliases {
		return hsm.DefaultVaults()
	}
	return s.VaultAllow
}

// parseVault parses the vault that a command names, and checks it against the allow-list.
func (d *keyDesk) parseVault(vault string) (hsm.Vault, error) {
	if vault == "" {
		return hsm.Vault{}, cli.BadUsage(errors.New("--vault is needed: the host of a Key Vault or Managed HSM"))
	}
	return d.vaults.ParseVault(d.names().vault(vault))
}

// parseKey parses the key that a command names, and checks it against the allow-list.
func (d *keyDesk) parseKey(vault, name string) (hsm.KeyID, error) {
	place, err := d.parseVault(vault)
	if err != nil {
		return hsm.KeyID{}, err
	}
	return d.vaults.Parse(place.String(), name)
}

// open opens the vault. If access is zero, it requests a token for the audience of the allow-list.
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
		Reads: d.out.Vault.Transporter(), Writes: once.Transporter(), Patience: d.patience,
	})
}

// noIdentity makes a missing identity an error that the user must fix.
func noIdentity(err error) error {
	if errors.Is(err, login.ErrNoIdentity) {
		return cli.BadUsage(err)
	}
	return err
}

// keyAccess are the flags of all key commands.
type keyAccess struct{ vault, tokenFile string }

func (a *keyAccess) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.vault, "vault", "", "host or name of the Key Vault, or NAME.managedhsm of a Managed HSM")
	tokenFlag(cmd, &a.tokenFile)
}

func tokenFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "access-token-file", "", "file with an access token, used instead of a login; - is standard input")
}

// visit opens the vault with the access token of the flags, if any.
func (a *keyAccess) visit(ctx context.Context, desk *keyDesk, vault hsm.Vault, in io.Reader) (*provision.Vault, error) {
	access, err := cli.ReadToken(a.tokenFile, in)
	if err != nil {
		return nil, err
	}
	return desk.open(ctx, vault, access)
}
