//go:build linux

package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A log reader that stops reading does not block the program. Lines that it does not
// read go to standard error.
func TestLogReaderStops(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	var stderr bytes.Buffer
	log, err := openLogFile(path, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer log.close()
	line := []byte(strings.Repeat("x", 1<<10) + "\n")
	for stderr.Len() < 3*len(line) { // without a limit the write blocks
		if _, err := log.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if told := strings.Count(stderr.String(), "the log goes to standard error"); told != 1 {
		t.Errorf("the message appears %d times:\n%.300q", told, &stderr)
	}
	if _, err := reader.Read(make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	before := stderr.Len()
	if _, err := log.Write(line); err != nil || stderr.Len() != before || log.failed {
		t.Errorf("a reader that resumes gets nothing: %v, %q", err, stderr.String()[before:])
	}
}
