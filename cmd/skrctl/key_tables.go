package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"skr/hsm"
	"skr/internal/operator/provision"
)

// printVersions prints versions, the newest of each key first.
func printVersions(items []provision.Item, at time.Time, out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAME\tVERSION\tENABLED\tEXPORTABLE\tCREATED\tEXPIRES\tNOTE") // Flush returns the error
	newest := ""
	for _, k := range items {
		note := hsm.Validity{NotBefore: k.NotBefore, Expires: k.Expires}.Lapse(at)
		if k.ID.Name() != newest {
			newest, note = k.ID.Name(), strings.TrimSuffix("newest, "+note, ", ")
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID.Name(), k.ID.Version(),
			yesNo(k.Enabled), yesNo(k.Exportable), timeText(k.Created), timeText(k.Expires), note)
	}
	return table.Flush()
}

// listDeleted lists the keys that can be recovered.
func (l *keyList) listDeleted(ctx context.Context, vault *provision.Vault, place hsm.Vault, out io.Writer) error {
	keys, err := vault.Deleted(ctx)
	if err != nil {
		return err
	}
	if l.output == "json" {
		listing := struct {
			Vault   string       `json:"vault"`
			Deleted []deletedKey `json:"deleted"`
		}{place.String(), []deletedKey{}}
		for _, k := range keys {
			listing.Deleted = append(listing.Deleted, describeDeleted(k))
		}
		return json.NewEncoder(out).Encode(listing)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAME\tDELETED\tPURGED AT") // Flush returns the error
	for _, k := range keys {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", k.ID.Name(), timeText(k.DeletedAt), timeText(k.PurgeAt))
	}
	return table.Flush()
}
