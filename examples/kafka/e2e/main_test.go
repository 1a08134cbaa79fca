package e2e

import (
	"context"
	"os"
	"testing"

	"skr/examples/kafka/emulated"
)

const (
	root      = "../../.." // the repository's root
	manifests = root + "/deploy/kafka/"
	topic     = "kafka-demo-topic"
	keyName   = "kafka-encryption-demo"
	userID    = 65532 // the user of all three images
)

var programs emulated.Programs

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "skr-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // because the emulator runs as another user
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
