package container

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// shared is a directory with the images that several tests run.
var shared struct {
	sync.Mutex
	dir string
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "skr-images-")
	if err != nil {
		panic(err)
	}
	shared.dir = dir
	code := m.Run()
	_ = os.RemoveAll(dir) // leftovers in /tmp are harmless
	os.Exit(code)
}

// archive returns the image of a program, which the first call builds.
func archive(t *testing.T, program string) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	path := filepath.Join(shared.dir, program+".tar")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := os.Rename(filepath.Join(buildImage(t, program), program+".tar"), path); err != nil {
		t.Fatal(err)
	}
	return path
}
