package cli

import (
	"fmt"
	"io"
	"os"
	"time"
)

// logMode lets other containers of the pod read the log, as in the reference. The log contains no
// secrets.
const logMode = 0o644

// Each request waits for its line in the log. The limits keep a stalled reader from blocking skr.
const (
	writeTimeout = 100 * time.Millisecond
	retryTimeout = time.Millisecond
)

// logFile writes the log to a file, and to standard error if the file cannot be written.
type logFile struct {
	file   *os.File // nil: standard error only
	stderr io.Writer
	failed bool // the last write to the file failed, and a message said so
}

// openLogFile always returns a logFile. If err is not nil, it writes to standard error.
func openLogFile(path string, stderr io.Writer) (out *logFile, err error) {
	out = &logFile{stderr: stderr}
	if path == "" {
		return out, nil
	}
	// With noWait, a pipe without a reader is an error.
	const flags = os.O_APPEND | os.O_CREATE | os.O_WRONLY | noWait
	out.file, err = os.OpenFile(path, flags, logMode) //nolint:gosec // the operator names the file, which others may read
	return out, err
}

// Write writes one line. Callers must not call it concurrently.
func (f *logFile) Write(line []byte) (int, error) {
	if f.file == nil {
		return f.stderr.Write(line)
	}
	f.limit()
	written, err := f.file.Write(line)
	if err == nil {
		f.failed = false
		return written, nil
	}
	if !f.failed {
		f.failed = true
		_, _ = fmt.Fprintln(f.stderr, "skr: cannot write log_file; the log goes to standard error:", err) // an error here is lost
	}
	return f.stderr.Write(line)
}

// limit sets a deadline for the next write, in case the reader of a pipe or terminal has stopped. It
// has no effect on a regular file.
func (f *logFile) limit() {
	timeout := writeTimeout
	if f.failed {
		timeout = retryTimeout
	}
	_ = f.file.SetWriteDeadline(time.Now().Add(timeout))
}

func (f *logFile) close() {
	if f.file != nil {
		_ = f.file.Close() // writes are not buffered
	}
}
