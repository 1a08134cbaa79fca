package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"skr/hsm"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/provision"
)

func keyListCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	var access keyAccess
	var output string
	cmd := &cobra.Command{
		Use:   "list --vault HOST",
		Short: "List the keys of a vault and whether they can be released",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cli.CheckOutput(output); err != nil {
				return err
			}
			return listKeys(cmd, access, output, env, streams)
		},
	}
	access.flags(cmd)
	cli.OutputFlag(cmd, &output)
	return cmd
}

func listKeys(cmd *cobra.Command, access keyAccess, output string, env config.Environment, streams cli.Streams) error {
	desk, err := openKeyDesk(cmd, env, streams)
	if err != nil {
		return err
	}
	if access.vault == "" {
		return cli.BadUsage(errors.New("--vault is needed: the host of a Key Vault or Managed HSM"))
	}
	place, err := desk.vaults.ParseVault(desk.names().vault(access.vault))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), desk.settings.RequestTimeout)
	defer cancel()
	vault, err := access.visit(ctx, desk, place, streams.In)
	if err != nil {
		return err
	}
	items, err := vault.List(ctx)
	if err != nil {
		return err
	}
	if output == "json" {
		return json.NewEncoder(streams.Out).Encode(listing(place, items))
	}
	return printList(items, streams.Out)
}

// keyListing is the JSON form of the list.
type keyListing struct {
	Vault string      `json:"vault"`
	Keys  []listedKey `json:"keys"`
}

type listedKey struct {
	Name       string            `json:"name"`
	Kid        string            `json:"kid"`
	Enabled    bool              `json:"enabled"`
	Exportable bool              `json:"exportable"`
	Created    string            `json:"created,omitempty"`
	Updated    string            `json:"updated,omitempty"`
	Expires    string            `json:"expires,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
}

func listing(place hsm.Vault, items []provision.Item) keyListing {
	l := keyListing{Vault: place.String(), Keys: make([]listedKey, len(items))}
	for i, k := range items {
		l.Keys[i] = listedKey{
			Name: k.ID.Name(), Kid: k.ID.String(), Enabled: k.Enabled, Exportable: k.Exportable,
			Created: timeText(k.Created), Updated: timeText(k.Updated), Expires: timeText(k.Expires), Tags: k.Tags,
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
