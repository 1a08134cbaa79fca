//go:build linux

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"skr/internal/config"
)

// place creates something at path.
type place func(t *testing.T, path string)

func File(text string) place {
	return func(t *testing.T, path string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
}

func link(target string) place {
	return func(t *testing.T, path string) {
		t.Helper()
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
}

func socket(t *testing.T, path string) {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
}

func Directory(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

// An output that cannot be written is refused before any request, with the path that the
// user gave. Existing files stay unchanged.
func TestOutputRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		make place
		at   string
		want string
	}{
		"no path":                       {nil, "", "--out: the path is empty"},
		"missing folder":                {nil, "absent/key", "absent/key: cannot create a file in its directory: no such file or directory"},
		"a file as a directory":         {File("x"), "place/key", "place/key: not a directory"},
		"directory":                     {Directory, "place", "place: is a directory"},
		"directory that does not exist": {nil, "new/", "new/: is a directory"},
		"socket":                        {socket, "place", "place: is not a regular file"},
		"link to a file":                {link("/etc/hostname"), "place", "place: is a symbolic link"},
		"link to nothing":               {link("/nonexistent"), "place", "place: is a symbolic link"},
		"link to a directory":           {link("/tmp"), "place", "place: is a symbolic link"},
		"a long name":                   {nil, strings.Repeat("a", 300), "file name too long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if c.make != nil {
				c.make(t, "place")
			}
			before := filesHere(t)
			out, err := OpenOutput(t.Context(), c.at, secretMode, nil)
			if err == nil {
				out.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), ".skr-") || ExitCode(err) != ExitConfiguration {
				t.Errorf("got %v, want a configuration error with %q", err, c.want)
			}
			if after := filesHere(t); after != before {
				t.Errorf("files %q, before %q", after, before)
			}
		})
	}
}

// filesHere lists the working directory with file types.
func filesHere(t *testing.T) string {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, entry := range entries {
		fmt.Fprintf(&text, "%s %v\n", entry.Name(), entry.Type())
	}
	return text.String()
}

// Devices and pipes are written to and keep their type.
func TestOutputStreams(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := unix.Mkfifo("pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/null", "device"); err != nil {
		t.Fatal(err)
	}
	before := filesHere(t)
	read := make(chan string, 1)
	go func() {
		text, err := os.ReadFile("pipe")
		read <- fmt.Sprint(string(text), err)
	}()
	for _, path := range []string{"pipe", "device", "/dev/null"} {
		if err := WriteOutput(t.Context(), path, []byte("secret"), secretMode, nil); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if got := <-read; got != "secret<nil>" {
		t.Errorf("the pipe's reader got %q", got)
	}
	info, err := os.Stat("/dev/null")
	if after := filesHere(t); after != before || err != nil || info.Mode().Type() != fs.ModeDevice|fs.ModeCharDevice {
		t.Errorf("files %q, before %q; /dev/null is %v, %v", after, before, info.Mode(), err)
	}
	if err := WriteOutput(t.Context(), "/dev/full", []byte("secret"), secretMode, nil); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a full device: %v", err)
	}
}

// A pipe without a reader is refused when the time limit ends.
func TestOutputPipeWithoutReader(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := unix.Mkfifo("pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := OpenOutput(ctx, "pipe", secretMode, nil)
	if err == nil || !strings.Contains(err.Error(), "--out: pipe: no process reads this pipe") || ExitCode(err) != ExitConfiguration {
		t.Errorf("got %v", err)
	}
	reader, err := os.OpenFile("pipe", os.O_RDONLY|unix.O_NONBLOCK, 0) // ends the goroutine that still waits
	if err != nil {
		t.Fatal(err)
	}
	_ = reader.Close()
}

func TestOutputStandard(t *testing.T) {
	t.Chdir(t.TempDir())
	var out bytes.Buffer
	if err := WriteOutput(t.Context(), "-", []byte("text"), PublicMode, &out); err != nil || out.String() != "text" || filesHere(t) != "" {
		t.Errorf("%v, %q, files %q", err, &out, filesHere(t))
	}
}

// A secret never replaces the file of its release's records, even if that file does not
// exist yet.
func TestOutputIsNoRecord(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "records")
	if err := os.Symlink(dir, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	refused := func(t *testing.T) {
		t.Helper()
		for _, s := range []*config.Settings{{AuditFile: path}, {LogFile: path}} {
			for _, out := range []string{"/./records", "/link/records"} {
				opened, err := OpenSecret(t.Context(), s, dir+out, nil)
				if err == nil || !strings.Contains(err.Error(), "in use as audit_file or log_file") {
					t.Errorf("%s: got %v", out, err)
				}
				if err == nil {
					opened.Close()
				}
			}
		}
	}
	t.Run("absent", refused)
	File("records")(t, path)
	t.Run("present", refused)
	opened, err := OpenSecret(t.Context(), &config.Settings{AuditFile: path, LogFile: "elsewhere/key"}, dir+"/key", nil)
	if err != nil {
		t.Fatalf("another file of the directory: %v", err)
	}
	opened.Close()
}
