package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"skr/hsm"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/provision"
)

func keyExpireCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	j, at := newKeyJob(env, streams), ""
	cmd := j.command("expire NAME[/VERSION] --vault HOST", "Set the time at which a version of a key expires",
		"Sets the time at which a version of a key expires, by default of the newest version and now. The vault then refuses\n"+
			"to encrypt, wrap and sign with it. It still decrypts, unwraps, verifies and releases it: to stop the release, use\n"+
			"skrctl key disable. A vault cannot remove a time of expiry, only set another.", cobra.ExactArgs(1),
		func(cmd *cobra.Command, args []string) error { return j.expire(cmd, args[0], at) })
	cmd.Flags().StringVar(&at, "at", "", "RFC 3339 time; now if empty")
	return cmd
}

func (j *keyJob) expire(cmd *cobra.Command, name, text string) error {
	at, err := parseTime(text)
	if err != nil {
		return cli.BadUsage(fmt.Errorf("--at: %w", err))
	}
	if at.IsZero() {
		at = time.Now().Truncate(time.Second).UTC()
	}
	return j.onKey(cmd, name, false, func(ctx context.Context, vault *provision.Vault, id hsm.KeyID) error {
		key, err := vault.Read(ctx, id)
		if err != nil {
			return err
		}
		if key, err = vault.Update(ctx, key, provision.Attributes{Expires: &at}); err != nil {
			return err
		}
		return j.printKey(key, "%s expires at %s; the vault releases it nevertheless: skrctl key disable stops that", key.ID, timeText(key.Expires))
	})
}
