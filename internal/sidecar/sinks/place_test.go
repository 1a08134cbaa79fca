package sinks

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"skr/internal/secretfile"
)

func placeOf(t testing.TB, spec Spec) place {
	t.Helper()
	p, err := newPlace(spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A reader never finds the file missing or half written.
func TestReplacementHasNoGap(t *testing.T) {
	path := filepath.Join(memory(t), "key")
	p := placeOf(t, Spec{Path: path})
	contents := []string{strings.Repeat("a", 100_000), strings.Repeat("b", 50_000)}
	if _, err := p.write([]byte(contents[0])); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var reads, ended sync.WaitGroup
	reads.Add(100)
	ended.Go(func() {
		for left := 100; ; left-- {
			if text, err := os.ReadFile(path); err != nil || string(text) != contents[0] && string(text) != contents[1] {
				t.Errorf("a reader got %d bytes, %v", len(text), err)
			}
			if left > 0 {
				reads.Done()
			}
			select {
			case <-stop:
				if left <= 0 {
					return
				}
			default:
			}
		}
	})
	for i := range 300 {
		replaced, err := p.write([]byte(contents[(i+1)%2]))
		if err != nil || !replaced {
			t.Fatal(replaced, err)
		}
	}
	reads.Wait()
	close(stop)
	ended.Wait()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// What is there already is not written again, so a restart of skr sends no notice.
func TestSameFileStays(t *testing.T) {
	path := filepath.Join(memory(t), "key")
	p := placeOf(t, Spec{Path: path})
	for i, want := range []bool{true, false} {
		if replaced, err := p.write([]byte("key")); replaced != want || err != nil {
			t.Errorf("write %d: %v, %v", i, replaced, err)
		}
	}
	if err := os.Chmod(path, 0o444); err != nil {
		t.Fatal(err)
	}
	if replaced, err := p.write([]byte("key")); !replaced || err != nil {
		t.Errorf("a file of another mode stays: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o400 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
}

// A link that somebody puts in the place of the file is not followed, and its target is not changed.
func TestLinkIsNotFollowed(t *testing.T) {
	dir := memory(t)
	path, target := filepath.Join(dir, "key"), put(t, filepath.Join(dir, "target"), "as it was")
	p := placeOf(t, Spec{Path: path})
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	if _, err := p.write([]byte("key")); err == nil || !strings.Contains(err.Error(), "a link") || read(t, target) != "as it was" {
		t.Errorf("%v, and the target holds %q", err, read(t, target))
	}
}

// Files that a killed process left are removed, and no others.
func TestDraftsAreCleaned(t *testing.T) {
	dir := memory(t)
	p := placeOf(t, Spec{Path: filepath.Join(dir, "key")})
	for _, name := range []string{".key.skr-ABC", ".key.skr-DEF", ".key2.skr-ABC", ".key", "key", "x"} {
		put(t, filepath.Join(dir, name), "half a k")
	}
	if err := os.Mkdir(filepath.Join(dir, ".key.skr-dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := p.clean(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != ".key .key.skr-dir .key2.skr-ABC key x" || err != nil {
		t.Errorf("left: %s, %v", got, err)
	}
}

// A directory that is replaced by one on a disk is noticed before anything is written.
func TestDiskIsNoticedLater(t *testing.T) {
	p := placeOf(t, Spec{Path: filepath.Join(memory(t), "key")})
	p.dir = "/proc"
	if _, err := p.write([]byte("key")); err == nil || !strings.Contains(err.Error(), "allow_disk") {
		t.Errorf("got %v", err)
	}
	if _, err := placeOf(t, Spec{Path: filepath.Join(t.TempDir(), "key"), AllowDisk: true}).write([]byte("key")); err != nil {
		t.Errorf("allow_disk: %v", err)
	}
}

// A pipe in place of a file is an error, and nothing waits for its other end.
func TestPipeIsNotRead(t *testing.T) {
	path := filepath.Join(memory(t), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readFile(path, 1); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("reading a pipe: %v", err)
	}
	p := place{dir: filepath.Dir(path), name: "pipe", access: access{mode: 0o600, owner: secretfile.SameOwner}}
	root, err := p.open()
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close() //nolint:errcheck // nothing was written
	if p.has(root, nil) {
		t.Error("a pipe is taken for the file")
	}
}
