package e2e

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"skr/examples/kafka/emulated"
)

const (
	root      = "../../.." // of the repository
	manifests = root + "/deploy/kafka/"
	topic     = "kafka-demo-topic"
	keyName   = "kafka-encryption-demo"
	userID    = 65532 // of all three images
)

var programs emulated.Programs

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "skr-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // the emulator runs as another user
	}
	if err == nil {
		programs, err = emulated.Build(context.Background(), root, dir)
	}
	if err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// need skips the test where a program is missing, and fails it in CI, which
// installs them.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			cannot(t, name+" is not installed (apt-get install "+name+")")
		}
	}
}

func cannot(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("in CI this must run: " + why)
	}
	t.Skip(why)
}
