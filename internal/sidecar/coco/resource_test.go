package coco

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A request for a resource whose file is a pipe fails. It would hold its place for ever.
func TestPipeIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (Resource{path: path}).Load(); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("reading a pipe: %v", err)
	}
}
