package program

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBuild: build leaves a program that is up to date unchanged, and replaces a stale one
// before a test can run it.
func TestBuild(t *testing.T) {
	t.Setenv(sharedVariable, t.TempDir())
	dir, err := sharedDirectory(os.Getenv(sharedVariable))
	if err != nil {
		t.Fatal(err)
	}
	packages := []string{"skr/test/summary", "skr/test/generate"} // quick to link
	again := func() {
		t.Helper()
		if err := build(dir, packages); err != nil {
			t.Fatal(err)
		}
	}
	again()
	summary, generate := filepath.Join(dir, "summary"), filepath.Join(dir, "generate")
	program, other := read(t, summary), read(t, generate)
	if bytes.Equal(program, other) {
		t.Fatal("two programs are the same")
	}
	marked := slices.Concat(program, []byte("mark"))
	write(t, summary, marked)
	again()
	if !bytes.Equal(read(t, summary), marked) {
		t.Error("a program that is up to date was linked again")
	}
	write(t, summary, other)
	again()
	if !bytes.Equal(read(t, summary), program) {
		t.Error("a stale program was not replaced")
	}
}

func TestSharedMustBeAbsolute(t *testing.T) {
	t.Setenv(sharedVariable, "bin/test")
	if _, err := prepare([]string{"skr"}); err == nil || !strings.Contains(err.Error(), "absolute") {
		t.Errorf("got %v", err)
	}
}

// TestStranger: test/stranger, which imports no other package of this repository, builds skr
// in the same directory. With different flags each of the two would link it again.
func TestStranger(t *testing.T) {
	const flags = `"build", "-tags", "grpcnotrace", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w"`
	for _, file := range []string{"build.go", "../stranger/main_test.go"} {
		if !bytes.Contains(read(t, file), []byte(flags)) {
			t.Errorf("%s does not build with %s", file, flags)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
