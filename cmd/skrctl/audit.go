package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/observe/audit"
	"skr/internal/refusal"
)

func auditCommand(io cli.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Verify the records of releases",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(auditVerifyCommand(io))
	return cmd
}

func auditVerifyCommand(io cli.Streams) *cobra.Command {
	var head, output string
	cmd := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Verify that an audit file, or a log with audit records, is unchanged",
		Long: "Checks each record of an audit file, or of a log in JSON, and that none was removed, added or moved.\n" +
			"Without FILE, or with -, it reads standard input. Use --head to find out whether the last records were removed:\n" +
			"it is the hash of a record that you kept elsewhere. Exit codes: 0 intact, 6 not intact, 2 unreadable.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := cli.NoEmptyFlags(cmd); err != nil {
				return err
			}
			path := "-"
			if len(args) == 1 {
				path = args[0]
			}
			return auditVerify(path, head, output, io)
		},
	}
	cmd.Flags().StringVar(&head, "head", "", "hash of a record that must be present")
	cmd.Flags().StringVar(&output, "output", "text", "text or json")
	return cmd
}

// recordHash matches the hash of an audit record.
var recordHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

func auditVerify(path, head, output string, io cli.Streams) error {
	switch {
	case head != "" && !recordHash.MatchString(head):
		return cli.BadUsage(fmt.Errorf("--head: %q is not 64 hexadecimal digits in lower case", head))
	case output != "text" && output != "json":
		return cli.BadUsage(fmt.Errorf("--output: %q is none of text, json", output))
	}
	report, err := auditReport(path, head, io.In)
	if output == "json" {
		return errors.Join(printAudit(path, head, report, err, io.Out), auditError(path, err))
	}
	if err != nil {
		return auditError(path, err)
	}
	_, err = fmt.Fprintf(io.Out, "%s: %s\nnot looked at: %s\n", path, auditSummary(report), strings.Join(auditUnchecked(report, head), "; "))
	return err
}

// auditError returns different errors for records that are not intact and for unreadable files.
func auditError(path string, err error) error {
	if err == nil {
		return nil
	}
	if _, broken := errors.AsType[*audit.BrokenError](err); broken {
		return &notIntactError{path, err}
	}
	return cli.BadUsage(err)
}

// printAudit prints the result as JSON. It leaves out the counts of a file that is not intact.
func printAudit(path, head string, report audit.Report, failed error, out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if failed == nil {
		return encoder.Encode(struct {
			File   string `json:"file"`
			Intact bool   `json:"intact"`
			audit.Report

			NotLookedAt []string `json:"not_looked_at"`
		}{path, true, report, auditUnchecked(report, head)})
	}
	line := 0
	if broken, ok := errors.AsType[*audit.BrokenError](failed); ok {
		line = broken.Line
	}
	return encoder.Encode(struct {
		File   string `json:"file"`
		Intact bool   `json:"intact"`
		Line   int    `json:"line,omitempty"`
		Error  string `json:"error"`
	}{path, false, line, failed.Error()})
}

// auditUnchecked returns what a chain of hashes cannot show. A head covers only its own chain.
func auditUnchecked(r audit.Report, head string) []string {
	unchecked := []string{"whether records after that of --head were cut off"}
	if head == "" {
		unchecked[0] = "whether the end was cut off, or all of it written anew (no --head was given)"
	}
	if r.Log {
		unchecked = append(unchecked, "whether other starts, or the ends of their records, were cut out of the log (each start has a chain of its own)")
	}
	return unchecked
}

func auditReport(path, head string, in io.Reader) (audit.Report, error) {
	if path != "-" {
		file, err := os.Open(path) //nolint:gosec // the operator names the file
		if err != nil {
			return audit.Report{}, err
		}
		defer func() { _ = file.Close() }() // read only: closing cannot lose anything
		in = file
	}
	return audit.Verify(in, head)
}

// notIntactError begins with the file, so that editors find the line.
type notIntactError struct {
	path  string
	cause error
}

func (e *notIntactError) Error() string   { return e.path + ": " + e.cause.Error() }
func (e *notIntactError) Unwrap() []error { return []error{e.cause, refusal.Untrusted} }

func auditSummary(r audit.Report) string {
	var more strings.Builder
	if r.Chains > 1 {
		fmt.Fprintf(&more, ", %d starts", r.Chains)
	}
	if r.Withheld > 0 {
		fmt.Fprintf(&more, ", %d more refused without a record each", r.Withheld)
	}
	if r.Torn > 0 {
		fmt.Fprintf(&more, ", torn and mended %d times", r.Torn)
	}
	if r.SetBack > 0 {
		fmt.Fprintf(&more, ", clock set back %d times", r.SetBack)
	}
	return fmt.Sprintf("%d records, %d released, %d refused%s, intact, head %s",
		r.Records, r.Releases, r.Refusals, more.String(), r.Head)
}
