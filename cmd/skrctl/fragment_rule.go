package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/operator/execpolicy"
)

func fragmentRuleCommand(streams cli.Streams) *cobra.Command {
	var least string
	cmd := &cobra.Command{
		Use:   "import-rule FILE",
		Short: "Print the import rule that admits a fragment and later ones",
		Long: "Verifies a signed fragment and prints, as JSON, the rule that an execution policy needs among its fragments to\n" +
			"admit this fragment and later ones of its signer for the feed. FILE may be -, standard input.\n" +
			"Exit codes: 0 printed, 6 not authentic, 2 unreadable.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return printRule(args[0], least, streams) },
	}
	cmd.Flags().StringVar(&least, "minimum-svn", "", "lowest svn to admit, 1 or higher; the fragment's if empty")
	return cmd
}

func printRule(path, least string, streams cli.Streams) error {
	f, _, err := readSigned(path, streams.In)
	if err != nil {
		return err
	}
	rule := f.Import()
	if least != "" {
		rule.MinimumSVN = execpolicy.Number(least)
	}
	number, err := rule.MinimumSVN.Uint()
	if err != nil || number == 0 || strconv.FormatUint(number, 10) != string(rule.MinimumSVN) {
		return cli.BadUsage(errors.New("--minimum-svn must be a whole number, 1 or higher"))
	}
	if err := rule.Admits(f.Issuer, f.Feed, f.SVN); err != nil {
		_, _ = fmt.Fprintf(streams.Err, "skrctl: warning: the rule does not admit %s: %v\n", path, err) // nowhere else to say it
	}
	slices.Sort(rule.Includes)
	e := json.NewEncoder(streams.Out)
	e.SetIndent("", "  ")
	return e.Encode(rule)
}
