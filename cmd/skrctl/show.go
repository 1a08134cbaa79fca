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
		Use:   "show FILE... | DIR",
		Short: "Recognise a file and print its content",
		Long: "Recognises reports, tokens, certificates, endorsements, boot evidence, policies and keys, in binary, hex, base64\n" +
			"or JSON, and prints each field with its meaning. Nothing is verified. Several files, or the files of a directory,\n" +
			"are the parts of one thing, such as a report and its chain. FILE may be - for standard input.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := view.check(); err != nil {
				return err
			}
			artefact, err := readShown(args, io.In)
			if err != nil {
				return err
			}
			return view.show(artefact, io.Out)
		},
	}
	view.bind(cmd)
	return cmd
}

// readShown reads what to show. Alone, an empty file is an error, and not a missing part.
func readShown(paths []string, in io.Reader) (inspect.Artefact, error) {
	if len(paths) == 1 && !isDirectory(paths[0]) {
		return readArtefact(paths[0], in)
	}
	return readParts(paths, in)
}

// viewOptions are the flags that say how an artefact is shown.
type viewOptions struct {
	output, at string
	when       time.Time
}

func (o *viewOptions) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.at, "at", "", "time of the check in RFC 3339, such as 2026-01-31T12:00:00Z; now if empty")
	cli.OutputFlag(cmd, &o.output)
}

// check checks the flags and sets when.
func (o *viewOptions) check() (err error) {
	if err := cli.CheckOutput(o.output); err != nil {
		return err
	}
	if o.when = time.Now(); o.at != "" {
		if o.when, err = time.Parse(time.RFC3339, o.at); err != nil {
			return cli.BadUsage(fmt.Errorf("--at: %q is not a time in RFC 3339, such as 2026-01-31T12:00:00Z", o.at))
		}
	}
	return nil
}

func (o *viewOptions) show(artefact inspect.Artefact, out io.Writer) error {
	description := artefact.Show(o.when)
	if o.output == "json" {
		return json.NewEncoder(out).Encode(description)
	}
	return description.WriteText(out)
}

// refuseToken refuses a token instead of a file name: other users can see arguments.
func refuseToken(path string) error {
	if strings.HasPrefix(path, "eyJ") && strings.Count(path, ".") == 2 {
		return cli.BadUsage(errors.New("this is a token, not a file; pass tokens as files or on standard input"))
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
	artefact, err := inspect.Recognise(data)
	if err != nil {
		return artefact, cli.BadUsage(fmt.Errorf("%s: %w", path, err))
	}
	return artefact, nil
}
