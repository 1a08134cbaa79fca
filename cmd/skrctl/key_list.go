package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"skr/hsm"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/provision"
)

// keyList are the flags of skrctl key list.
type keyList struct {
	keyAccess
	output            string
	versions, deleted bool
}

func keyListCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	var l keyList
	cmd := &cobra.Command{
		Use:   "list [NAME --versions] --vault HOST",
		Short: "List the keys of a vault, the versions of a key, or the deleted keys",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 0 && !l.versions:
				return cli.BadUsage(fmt.Errorf("to list the versions of %q, add --versions", args[0]))
			case l.versions && l.deleted:
				return cli.BadUsage(errors.New("use --versions or --deleted, not both"))
			}
			if err := cli.CheckOutput(l.output); err != nil {
				return err
			}
			return l.run(cmd, args, env, streams)
		},
	}
	l.flags(cmd)
	cmd.Flags().BoolVar(&l.versions, "versions", false, "list the versions of the key NAME, or of all keys")
	cmd.Flags().BoolVar(&l.deleted, "deleted", false, "list the deleted keys that can be recovered")
	cli.OutputFlag(cmd, &l.output)
	return cmd
}

func (l *keyList) run(cmd *cobra.Command, args []string, env config.Environment, streams cli.Streams) error {
	desk, err := openKeyDesk(cmd, env, streams)
	if err != nil {
		return err
	}
	place, err := desk.parseVault(l.vault)
	if err != nil {
		return err
	}
	var id hsm.KeyID
	if len(args) > 0 {
		if id, err = desk.parseKey(l.vault, args[0]); err != nil {
			return err
		}
	}
	if id.Version() != "" {
		return cli.BadUsage(fmt.Errorf("%q names a version; --versions lists all versions of a key", args[0]))
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), desk.settings.RequestTimeout)
	defer cancel()
	vault, err := l.visit(ctx, desk, place, streams.In)
	if err != nil {
		return err
	}
	if l.deleted {
		return l.listDeleted(ctx, vault, place, streams.Out)
	}
	items, err := l.items(ctx, vault, id)
	if err != nil {
		return err
	}
	if l.output == "json" {
		return json.NewEncoder(streams.Out).Encode(listing(place, items))
	}
	if l.versions {
		return printVersions(items, time.Now(), streams.Out)
	}
	return printList(items, streams.Out)
}

// items returns the keys, or the versions of one key or of all.
func (l *keyList) items(ctx context.Context, vault *provision.Vault, id hsm.KeyID) ([]provision.Item, error) {
	if id.Name() != "" {
		items, err := vault.Versions(ctx, id.Name())
		if err == nil && len(items) == 0 { // a vault lists no versions of a key that does not exist
			_, err = vault.Read(ctx, id)
		}
		return items, err
	}
	keys, err := vault.List(ctx)
	if err != nil || !l.versions {
		return keys, err
	}
	var all []provision.Item
	for _, key := range keys {
		items, err := vault.Versions(ctx, key.ID.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
	}
	return all, nil
}

// keyListing is the JSON form of the list.
type keyListing struct {
	Vault string      `json:"vault"`
	Keys  []listedKey `json:"keys"`
}

type listedKey struct {
	Name       string            `json:"name"`
	Version    string            `json:"version,omitempty"`
	Kid        string            `json:"kid"`
	Enabled    bool              `json:"enabled"`
	Exportable bool              `json:"exportable"`
	Created    string            `json:"created,omitempty"`
	Updated    string            `json:"updated,omitempty"`
	NotBefore  string            `json:"not_before,omitempty"`
	Expires    string            `json:"expires,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
}

func listing(place hsm.Vault, items []provision.Item) keyListing {
	l := keyListing{Vault: place.String(), Keys: make([]listedKey, len(items))}
	for i, k := range items {
		l.Keys[i] = listedKey{
			Name: k.ID.Name(), Version: k.ID.Version(), Kid: k.ID.String(), Enabled: k.Enabled, Exportable: k.Exportable,
			Created: timeText(k.Created), Updated: timeText(k.Updated), NotBefore: timeText(k.NotBefore),
			Expires: timeText(k.Expires), Tags: k.Tags,
		}
	}
	return l
}

func printList(items []provision.Item, out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAME\tENABLED\tEXPORTABLE\tUPDATED\tEXPIRES") // Flush returns the error
	for _, k := range items {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n",
			k.ID.Name(), yesNo(k.Enabled), yesNo(k.Exportable), timeText(k.Updated), timeText(k.Expires))
	}
	return table.Flush()
}
