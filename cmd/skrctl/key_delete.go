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

// deletedKey is the JSON form of a deleted key.
type deletedKey struct {
	Name    string `json:"name"`
	Kid     string `json:"kid"`
	Deleted string `json:"deleted,omitempty"`
	Purge   string `json:"purge,omitempty"`
}

func describeDeleted(d provision.DeletedKey) deletedKey {
	return deletedKey{Name: d.ID.Name(), Kid: d.ID.String(), Deleted: timeText(d.DeletedAt), Purge: timeText(d.PurgeAt)}
}

func keyDeleteCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	j := newKeyJob(env, streams)
	cmd := j.command("delete NAME --vault HOST", "Delete a key with all its versions; it can be recovered for some days",
		"Deletes a key with all its versions, and waits until the vault has done so. No pod gets the key any more, and its name\n"+
			"stays taken. skrctl key recover brings it back until the printed time.", cobra.ExactArgs(1),
		func(cmd *cobra.Command, args []string) error { return j.onKey(cmd, args[0], true, j.delete) })
	j.asks(cmd)
	j.waits(cmd)
	return cmd
}

func (j *keyJob) delete(ctx context.Context, vault *provision.Vault, id hsm.KeyID) error {
	if !j.yes {
		newest, err := vault.Read(ctx, id)
		if err != nil {
			return err
		}
		question := fmt.Sprintf("delete %s with all its versions, the newest of %s: no pod gets it any more", id, timeText(newest.Created))
		if err := confirm(j.streams, j.yes, "yes", question); err != nil {
			return err
		}
	}
	deleted, err := vault.Delete(ctx, id.Name())
	if err := j.watched(err); err != nil {
		return err
	}
	return j.print(describeDeleted(deleted), "deleted %s; until %s, skrctl key recover brings it back", deleted.ID.Name(), timeText(deleted.PurgeAt))
}

func keyRecoverCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	j := newKeyJob(env, streams)
	cmd := j.command("recover NAME --vault HOST", "Recover a deleted key with all its versions",
		"Recovers a deleted key, and waits until the vault has done so. skrctl key list --deleted shows which keys can be\n"+
			"recovered.", cobra.ExactArgs(1),
		func(cmd *cobra.Command, args []string) error { return j.onKey(cmd, args[0], true, j.recover) })
	j.waits(cmd)
	return cmd
}

func (j *keyJob) recover(ctx context.Context, vault *provision.Vault, id hsm.KeyID) error {
	key, err := vault.Recover(ctx, id.Name())
	if err := j.watched(err); err != nil {
		return err
	}
	return j.printKey(key, "recovered %s", key.ID)
}

func keyPurgeCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	j := newKeyJob(env, streams)
	cmd := j.command("purge NAME --vault HOST", "Destroy a deleted key for ever",
		"Destroys a deleted key with all its versions. What was encrypted with it can never be read again, unless there is a\n"+
			"backup of the key. A vault with purge protection refuses.", cobra.ExactArgs(1),
		func(cmd *cobra.Command, args []string) error { return j.onKey(cmd, args[0], true, j.purge) })
	j.asks(cmd)
	return cmd
}

func (j *keyJob) purge(ctx context.Context, vault *provision.Vault, id hsm.KeyID) error {
	if !j.yes {
		deleted, err := vault.FindDeleted(ctx, id.Name())
		if err != nil {
			return err
		}
		question := fmt.Sprintf("purge %s, which was deleted at %s: what was encrypted with any version of it can never be read again",
			id, timeText(deleted.DeletedAt))
		if err := confirm(j.streams, j.yes, id.Name(), question); err != nil {
			return err
		}
	}
	if err := vault.Purge(ctx, id.Name()); err != nil {
		return err
	}
	return j.print(struct {
		Name   string `json:"name"`
		Purged bool   `json:"purged"`
	}{id.Name(), true}, "purged %s; the vault frees the name after a few seconds", id.Name())
}
