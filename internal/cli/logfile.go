package cli

import (
	"fmt"
	"io"
	"os"
	"time"
)

// logMode lets the pod's other containers read the log, as the reference does. It
// holds no secrets.
const logMode = 0o644

// Every request waits for its line, so that a reader of the log could stop the sidecar.
const (
	patienceWithReader   = 100 * time.Millisecond
	patienceAfterFailure = time.Millisecond
)

// logFile is where the log goes: a file, and standard error for what the file does
// not take. A log that cannot be written stops nothing.
type logFile struct {
	file   *os.File // nil: standard error alone
	stderr io.Writer
	failed bool // the last write to the file failed, and that was told
}

// openLogFile returns a logFile in any case. err says why it is standard error.
func openLogFile(path string, stderr io.Writer) (out *logFile, err error) {
	out = &logFile{stderr: stderr}
	if path == "" {
		return out, nil
	}
	// A pipe without a reader is an error and does not wait for one.
	const flags = os.O_APPEND | os.O_CREATE | os.O_WRONLY | noWait
	out.file, err = os.OpenFile(path, flags, logMode) //nolint:gosec // the operator names the file, which others may read
	return out, err
}

// Write writes one line. Its callers take turns.
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
		_, _ = fmt.Fprintln(f.stderr, "skr: the log goes to standard error until log_file can be written:", err) // there is nowhere else to say it
	}
	return f.stderr.Write(line)
}

// limit ends the next write to a pipe or terminal whose reader has stopped reading. A
// regular file takes no deadline.
func (f *logFile) limit() {
	patience := patienceWithReader
	if f.failed {
		patience = patienceAfterFailure
	}
	_ = f.file.SetWriteDeadline(time.Now().Add(patience))
}

func (f *logFile) close() {
	if f.file != nil {
		_ = f.file.Close() // each line was written at once
	}
}
