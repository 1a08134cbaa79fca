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

// StandardOutput is what --out calls it.
const StandardOutput = "-"

// Output is where a command writes its result. It is opened before anything is asked
// for: a key that was released is not lost for want of a place.
type Output struct {
	stream  io.Writer    // standard output, a device or a pipe; nil for a regular file
	opened  *os.File     // the device or pipe
	pending *PendingFile // a regular file, which appears when it is whole
}

// OpenOutput opens the path of --out: "-" is standard output. What exists and is a
// character device or a pipe is written into; for the reader of a pipe it waits as
// long as ctx. Everything else that is no regular file is refused.
func OpenOutput(ctx context.Context, path string, mode os.FileMode, stdout io.Writer) (*Output, error) {
	if path == StandardOutput {
		return &Output{stream: stdout}, nil
	}
	if path == "" {
		return nil, BadUsage(errors.New("--out: it is empty; - is standard output"))
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

// OpenSecret opens the output of a command that also writes records, which it must
// not replace.
func OpenSecret(ctx context.Context, s *config.Settings, path string, stdout io.Writer) (*Output, error) {
	for _, record := range []string{s.AuditFile, s.LogFile} {
		if record != "" && path != StandardOutput && sameFile(path, record) {
			return nil, BadUsage(fmt.Errorf("--out: %s: records are written there, see audit_file and log_file", path))
		}
	}
	return OpenOutput(ctx, path, secretMode, stdout)
}

// sameFile reports whether both paths lead to one regular file, or will when it is
// made: the file of records may not exist yet.
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

// openStream waits for a pipe's reader. Opening cannot be interrupted: when the time
// is over the goroutine stays behind, and the command ends.
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
		return nil, errors.New("nothing reads this pipe: start its reader first")
	}
}

// Write writes all, and leaves a regular file whole or as it was.
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

// IsStandard reports whether people may read it: then text ends in a line end.
func (o *Output) IsStandard() bool { return o.pending == nil && o.opened == nil }

// Close is for every output, written or not.
func (o *Output) Close() {
	if o.pending != nil {
		o.pending.Discard()
	}
	if o.opened != nil {
		_ = o.opened.Close() // what was written is with the reader
	}
}

// WriteOutput is for results that cost nothing to have again.
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

// OutputFlag is the form of what a command prints.
func OutputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVar(output, "output", "text", "text or json")
}

func CheckOutput(output string) error {
	if output != "text" && output != "json" {
		return BadUsage(fmt.Errorf("--output: %q is none of text, json", output))
	}
	return nil
}
