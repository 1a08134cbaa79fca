package stranger

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// skr is the path of the sidecar's binary, which the go command builds from the source tree.
var skr string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	own, err := os.MkdirTemp("", "stranger")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(own) }()
	dir := own
	if shared := os.Getenv("SKR_TEST_PROGRAMS"); shared != "" {
		dir = filepath.Join(shared, "plain") // like package program; other packages still need it
	}
	if err := build(dir); err != nil {
		fmt.Fprintln(os.Stderr, "building the sidecar:", err)
		return 1
	}
	skr = filepath.Join(dir, "skr")
	return m.Run()
}

// build does the same as package program, with the same lock and the same flags. If the
// program is up to date, the go command does not change it.
func build(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-tags", "grpcnotrace", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w",
		"-o", dir+string(filepath.Separator), "skr/cmd/skr")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	return build.Run()
}
