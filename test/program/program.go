// Package program builds the programs of this repository for tests that run them as
// processes, and provides what such tests need around them:
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
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"skr/test/emulator"
)

// directory contains the programs while Main runs the tests.
var directory string

// Main builds the programs as they ship, runs the tests, and ends the process. Under the race
// detector the programs have it too, and write its findings to their log.
func Main(m *testing.M, names ...string) {
	remove, err := prepare(names)
	if err != nil {
		panic(err)
	}
	runMoreAtOnce()
	code := m.Run()
	remove()
	os.Exit(code)
}

// prepare sets directory and builds the programs there.
func prepare(names []string) (remove func(), err error) {
	if shared := os.Getenv(sharedVariable); shared != "" {
		directory, err = sharedDirectory(shared)
		remove = func() {}
	} else {
		directory, err = os.MkdirTemp("", "skr-test-")
		remove = func() { _ = os.RemoveAll(directory) }
	}
	if err != nil {
		return nil, err
	}
	packages := make([]string, 0, len(names))
	for _, name := range names {
		packages = append(packages, "skr/cmd/"+name)
	}
	if err := build(directory, packages); err != nil {
		remove()
		return nil, err
	}
	return remove, nil
}

// runMoreAtOnce makes twice as many tests run at once as go test's default for -parallel,
// because tests of processes wait as much as they compute.
func runMoreAtOnce() {
	if err := flag.Lookup("test.parallel").Value.Set(strconv.Itoa(2 * runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
}

// Path returns the path of a program that Main built, or that a test puts there.
func Path(name string) string { return filepath.Join(directory, name) }

// Directory returns the directory of the programs.
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

// Output collects what a process writes. It may be read while the process runs.
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

// String returns what was written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
