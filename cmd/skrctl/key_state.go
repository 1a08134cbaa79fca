package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/provision"
)

func keyEnableCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	j := newKeyJob(env, streams)
	return j.command("enable NAME[/VERSION] --vault HOST", "Enable a version of a key, so that the vault releases it again",
		"Enables a version of a key, by default the newest.", cobra.ExactArgs(1),
		func(cmd *cobra.Command, args []string) error { return j.setEnabled(cmd, args[0], true) })
}

func keyDisableCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	j := newKeyJob(env, streams)
	cmd := j.command("disable NAME[/VERSION] --vault HOST", "Disable a version of a key, so that the vault releases it no more",
		"Disables a version of a key, by default the newest. Pods that ask for it are refused; skrctl key enable undoes it.\n"+
			"A request without a version gets the newest version, also if that one is disabled: it is then refused.", cobra.ExactArgs(1),
		func(cmd *cobra.Command, args []string) error { return j.setEnabled(cmd, args[0], false) })
	j.asks(cmd)
	return cmd
}

func (j *keyJob) setEnabled(cmd *cobra.Command, name string, enabled bool) error {
	k, err := j.openVersion(cmd, name)
	if err != nil {
		return err
	}
	defer k.cancel()
	key, err := k.Read(k.ctx, k.id)
	if err != nil {
		return err
	}
	done := map[bool]string{true: "enabled", false: "disabled"}[enabled]
	if key.Enabled == enabled {
		return j.printKey(key, "%s is %s already", key.ID, done)
	}
	if !enabled {
		question := fmt.Sprintf("disable %s: the vault then refuses every pod that asks for this version", key.ID)
		if err := confirm(j.streams, j.yes, "yes", question); err != nil {
			return err
		}
	}
	if key, err = k.Update(k.ctx, key, provision.Attributes{Enabled: &enabled}); err != nil {
		return err
	}
	return j.printKey(key, "%s %s", done, key.ID)
}
