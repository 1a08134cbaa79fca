package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/operator/inspect"
)

func showCommand(io cli.Streams) *cobra.Command {
	var view viewOptions
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Recognise a file and print what is in it",
		Long: "Recognises reports, tokens, certificates, endorsements, policies, keys and what carries them, in binary,\n" +
			"hex, base64 or JSON, and prints each field with its meaning. Nothing is verified. FILE may be -, standard input.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := view.check(); err != nil {
				return err
			}
			found, err := readArtefact(args[0], io.In)
			if err != nil {
				return err
			}
			return view.show(found, io.Out)
		},
	}
	view.bind(cmd)
	return cmd
}

// viewOptions say when and how an artefact is looked at.
type viewOptions struct {
	output, at string
	when       time.Time
}

func (o *viewOptions) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.at, "at", "", "time to look from, as RFC 3339, such as 2026-01-31T12:00:00Z; now if empty")
	cli.OutputFlag(cmd, &o.output)
}

// check also reads the clock, once.
func (o *viewOptions) check() (err error) {
	if err := cli.CheckOutput(o.output); err != nil {
		return err
	}
	if o.when = time.Now(); o.at != "" {
		if o.when, err = time.Parse(time.RFC3339, o.at); err != nil {
			return cli.BadUsage(fmt.Errorf("--at: %q is no time as RFC 3339 has it, such as 2026-01-31T12:00:00Z", o.at))
		}
	}
	return nil
}

func (o *viewOptions) show(found inspect.Artefact, out io.Writer) error {
	description := found.Show(o.when)
	if o.output == "json" {
		return json.NewEncoder(out).Encode(description)
	}
	return description.WriteText(out)
}

// refuseToken refuses a token in the place of a file's name: arguments are no place for one.
func refuseToken(path string) error {
	if strings.HasPrefix(path, "eyJ") && strings.Count(path, ".") == 2 {
		return cli.BadUsage(errors.New("this is a token and no file: pass tokens as files or on standard input"))
	}
	return nil
}

func readArtefact(path string, in io.Reader) (inspect.Artefact, error) {
	if err := refuseToken(path); err != nil {
		return inspect.Artefact{}, err
	}
	data, err := cli.ReadInput(path, inspect.MaxBytes, in)
	if err != nil {
		return inspect.Artefact{}, cli.BadUsage(err)
	}
	found, err := inspect.Recognise(data)
	if err != nil {
		return found, cli.BadUsage(fmt.Errorf("%s: %w", path, err))
	}
	return found, nil
}
