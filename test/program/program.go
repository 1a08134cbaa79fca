// Package program builds the programs of this repository for tests of them as
// processes, and has what such tests need around them:
//
//	func TestMain(m *testing.M) { program.Main(m, "skr") }
//
//	cloud := program.Cloud(t, emulator.Config{})
//	process := exec.Command(program.Path("skr"))
//	process.Env = cloud.Environment(cloud.Machine())
package program

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"skr/test/emulator"
)

// directory of the programs, while Main runs the tests.
var directory string

// Main builds the programs as they ship, runs the tests, and ends the process. Under
// the race detector the programs have one too, which writes its findings to their log.
func Main(m *testing.M, names ...string) {
	var err error
	if directory, err = os.MkdirTemp("", "skr-test-"); err != nil {
		panic(err)
	}
	for _, name := range names {
		build := exec.Command("go", "build", "-tags", "grpcnotrace", "-trimpath", "-ldflags", "-s -w", "-o", Path(name))
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if raced {
			build.Args, build.Env = append(build.Args, "-race"), append(os.Environ(), "CGO_ENABLED=1")
		}
		build.Args = append(build.Args, "skr/cmd/"+name)
		if out, err := build.CombinedOutput(); err != nil {
			panic(fmt.Sprintf("building %s: %v\n%s", name, err, out))
		}
	}
	code := m.Run()
	_ = os.RemoveAll(directory)
	os.Exit(code)
}

// Path of a program that Main has built, or that a test puts there.
func Path(name string) string { return filepath.Join(directory, name) }

// Directory of the programs.
func Directory() string { return directory }

// Cloud starts an emulated cloud in a directory with a short path.
func Cloud(t testing.TB, config emulator.Config) *emulator.Cloud {
	t.Helper()
	dir, err := os.MkdirTemp("", "skr-") //nolint:usetesting // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	config.Dir = dir
	cloud, err := emulator.Start(context.WithoutCancel(t.Context()), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Errorf("closing the cloud: %v", err)
		}
	})
	return cloud
}

// FreeAddress is one of 127.0.0.1 on which nobody listens now.
func FreeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// Output collects what a process writes; it may be read while it runs.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write adds to the output.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String is what was written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
