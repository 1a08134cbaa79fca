package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"skr/internal/config"
)

// StandardOutput is the value of --out for standard output.
const StandardOutput = "-"

// Output is the destination of a command's result. Open it before the release, so that a released
// key is not lost.
type Output struct {
	stream  io.Writer    // standard output, a device or a pipe; nil for a regular file
	opened  *os.File     // the device or pipe
	pending *PendingFile // a regular file, which appears when it is complete
}

// OpenOutput opens the path of --out, where "-" is standard output. It writes into an existing
// character device or pipe, and waits for the reader of a pipe until ctx ends. It replaces regular
// files and refuses all others.
func OpenOutput(ctx context.Context, path string, mode os.FileMode, stdout io.Writer) (*Output, error) {
	if path == StandardOutput {
		return &Output{stream: stdout}, nil
	}
	if path == "" {
		return nil, BadUsage(errors.New("--out: the path is empty; use - for standard output"))
	}
	info, err := os.Stat(path)
	if err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0 {
		file, err := openStream(ctx, path)
		if err != nil {
			return nil, BadUsage(fmt.Errorf("--out: %s: %w", path, err))
		}
		return &Output{stream: file, opened: file}, nil
	}
	pending, err := NewPendingFile(path, mode)
	if wrong, ok := errors.AsType[*configError](err); ok {
		return nil, BadUsage(fmt.Errorf("--out: %w", wrong.cause))
	}
	if err != nil {
		return nil, err
	}
	return &Output{pending: pending}, nil
}

// OpenSecret opens the output for a secret. It refuses the files of the log and the audit records.
func OpenSecret(ctx context.Context, s *config.Settings, path string, stdout io.Writer) (*Output, error) {
	for _, record := range []string{s.AuditFile, s.LogFile} {
		if record != "" && path != StandardOutput && sameFile(path, record) {
			return nil, BadUsage(fmt.Errorf("--out: %s: this file is in use as audit_file or log_file", path))
		}
	}
	return OpenOutput(ctx, path, secretMode, stdout)
}

// sameFile reports whether both paths lead to the same regular file, or will once it is created: the
// file of records may not exist yet.
func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	other, otherErr := os.Stat(b)
	if err == nil && otherErr == nil {
		return one.Mode().IsRegular() && os.SameFile(one, other)
	}
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(otherErr, fs.ErrNotExist) || filepath.Base(a) != filepath.Base(b) {
		return false
	}
	one, err = os.Stat(filepath.Dir(a))
	other, otherErr = os.Stat(filepath.Dir(b))
	return err == nil && otherErr == nil && os.SameFile(one, other)
}

// openStream opens a device or a pipe, and waits for the reader of a pipe. Opening cannot be
// interrupted: when ctx ends, the goroutine remains until the command ends.
func openStream(ctx context.Context, path string) (*os.File, error) {
	type result struct {
		file *os.File
		err  error
	}
	opened := make(chan result, 1)
	go func() {
		file, err := os.OpenFile(path, os.O_WRONLY, 0) //nolint:gosec // the operator names the file
		opened <- result{file, err}
	}()
	select {
	case r := <-opened:
		if r.err != nil {
			return nil, causeOf(r.err)
		}
		return r.file, nil
	case <-ctx.Done():
		return nil, errors.New("no process reads this pipe; start its reader first")
	}
}

// Write writes the whole result. A regular file is replaced completely or not at all.
func (o *Output) Write(data []byte) error {
	if o.pending == nil {
		_, err := o.stream.Write(data)
		return err
	}
	if err := o.pending.Write(data); err != nil {
		return err
	}
	return o.pending.Commit()
}

// IsStandard reports whether the output is standard output, where text ends with a newline.
func (o *Output) IsStandard() bool { return o.pending == nil && o.opened == nil }

// Close closes the output. It discards a file that was not written.
func (o *Output) Close() {
	if o.pending != nil {
		o.pending.Discard()
	}
	if o.opened != nil {
		_ = o.opened.Close() // the reader has the data
	}
}

// WriteOutput opens the output and writes data. Use it only for results that can be produced again.
func WriteOutput(ctx context.Context, path string, data []byte, mode os.FileMode, stdout io.Writer) error {
	out, err := OpenOutput(ctx, path, mode, stdout)
	if err != nil {
		return err
	}
	defer out.Close()
	return out.Write(data)
}

// OutFlag adds --out.
func OutFlag(cmd *cobra.Command, path *string, what string) {
	cmd.Flags().StringVar(path, "out", StandardOutput, what+"; - is standard output")
}

// OutputFlag adds --output.
func OutputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVar(output, "output", "text", "text or json")
}

// CheckOutput checks the value of --output.
func CheckOutput(output string) error {
	if output != "text" && output != "json" {
		return BadUsage(fmt.Errorf("--output: %q is none of text, json", output))
	}
	return nil
}
