package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"skr/hsm"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/provision"
)

// backupMode is the mode of a backup. The vault has encrypted it, and can restore it for anybody who
// may restore keys.
const backupMode os.FileMode = 0o600

func keyBackupCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	j, out, replace := newKeyJob(env, streams), "", false
	cmd := j.command("backup NAME --out FILE --vault HOST", "Write a backup of a key with all its versions",
		"Writes a backup of a key with all its versions and its release policies. The vault encrypts it: only a vault of the\n"+
			"same subscription and geography, or an HSM of the same security domain, can restore it.", cobra.ExactArgs(1),
		func(cmd *cobra.Command, args []string) error { return j.backup(cmd, args[0], out, replace) })
	cmd.Flags().StringVar(&out, "out", "", "file to write, mode 0600")
	cmd.Flags().BoolVar(&replace, "replace", false, "replace the file if it exists")
	return cmd
}

func (j *keyJob) backup(cmd *cobra.Command, name, out string, replace bool) error {
	if out == "" {
		return cli.BadUsage(errors.New("--out is needed: the file to write"))
	}
	if _, err := os.Lstat(out); !replace && !errors.Is(err, fs.ErrNotExist) {
		return cli.BadUsage(fmt.Errorf("--out: %s exists; choose another file, or use --replace", out))
	}
	file, err := cli.NewPendingFile(out, backupMode)
	if err != nil {
		return err
	}
	defer file.Discard()
	return j.onKey(cmd, name, true, func(ctx context.Context, vault *provision.Vault, id hsm.KeyID) error {
		backup, err := vault.Backup(ctx, id.Name())
		if err != nil {
			return err
		}
		if err := file.Write(backup); err != nil {
			return err
		}
		if err := file.Commit(); err != nil {
			return err
		}
		return j.print(savedKey{id.Name(), id.Vault().String(), out, len(backup)}, "wrote %s: all versions of %s, %d bytes", out, id.Name(), len(backup))
	})
}

// savedKey is the JSON form of a backup that was written.
type savedKey struct {
	Name  string `json:"name"`
	Vault string `json:"vault"`
	File  string `json:"file"`
	Bytes int    `json:"bytes"`
}

func keyRestoreCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	j := newKeyJob(env, streams)
	cmd := j.command("restore FILE --vault HOST", "Restore a key from a backup",
		"Restores the key of a backup with all its versions, their identifiers and release policies, and waits until the key\n"+
			"can be read. It overwrites nothing: the vault refuses if the name is taken.", cobra.ExactArgs(1),
		func(cmd *cobra.Command, args []string) error { return j.restore(cmd, args[0]) })
	j.waits(cmd)
	return cmd
}

func (j *keyJob) restore(cmd *cobra.Command, path string) error {
	if err := cli.OneStandardInput(path, j.access.tokenFile); err != nil {
		return err
	}
	backup, err := cli.ReadInput(path, provision.MaxBackup, j.streams.In)
	switch {
	case err != nil:
		return cli.BadUsage(err)
	case len(backup) == 0:
		return cli.BadUsage(fmt.Errorf("%s: the file is empty", path))
	}
	return j.onVault(cmd, func(ctx context.Context, vault *provision.Vault) error {
		key, err := vault.Restore(ctx, backup)
		if err := j.watched(err); err != nil {
			return err
		}
		return j.printKey(key, "restored %s", key.ID)
	})
}
