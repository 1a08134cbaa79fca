package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"skr/hsm"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/provision"
)

func keyEnableCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	j := newKeyJob(env, streams)
	return j.command("enable NAME[/VERSION] --vault HOST", "Enable a version of a key, so that the vault releases it again",
		"Enables a version of a key, by default the newest.", cobra.ExactArgs(1),
		func(cmd *cobra.Command, args []string) error { return j.onKey(cmd, args[0], false, j.enable) })
}

func keyDisableCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	j := newKeyJob(env, streams)
	cmd := j.command("disable NAME[/VERSION] --vault HOST", "Disable a version of a key, so that the vault releases it no more",
		"Disables a version of a key, by default the newest. Pods that ask for it are refused; skrctl key enable undoes it.\n"+
			"A request without a version gets the newest version, also if that one is disabled: it is then refused.", cobra.ExactArgs(1),
		func(cmd *cobra.Command, args []string) error { return j.onKey(cmd, args[0], false, j.disable) })
	j.asks(cmd)
	return cmd
}

func (j *keyJob) enable(ctx context.Context, vault *provision.Vault, id hsm.KeyID) error {
	key, err := vault.Read(ctx, id)
	if err != nil {
		return err
	}
	if key.Enabled {
		return j.printKey(key, "%s is enabled already", key.ID)
	}
	if key, err = vault.Update(ctx, key, provision.Attributes{Enabled: new(true)}); err != nil {
		return err
	}
	return j.printKey(key, "enabled %s", key.ID)
}

func (j *keyJob) disable(ctx context.Context, vault *provision.Vault, id hsm.KeyID) error {
	key, err := vault.Read(ctx, id)
	if err != nil {
		return err
	}
	if !key.Enabled {
		return j.printKey(key, "%s is disabled already", key.ID)
	}
	question := fmt.Sprintf("disable %s: the vault then refuses every pod that asks for this version", key.ID)
	if err := confirm(j.streams, j.yes, "yes", question); err != nil {
		return err
	}
	if key, err = vault.Update(ctx, key, provision.Attributes{Enabled: new(false)}); err != nil {
		return err
	}
	return j.printKey(key, "disabled %s", key.ID)
}
