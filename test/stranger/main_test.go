package stranger

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// skr is the path of the sidecar's binary, built once from the source tree.
var skr string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "stranger")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	skr = filepath.Join(dir, "skr")
	build := exec.Command("go", "build", "-tags", "grpcnotrace", "-o", skr, "../../cmd/skr")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the sidecar:", err)
		return 1
	}
	return m.Run()
}
