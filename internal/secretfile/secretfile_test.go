package secretfile

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseOwner(t *testing.T) {
	for text, want := range map[string]Owner{"": SameOwner, "7": {7, -1}, "7:8": {7, 8}, "0:0": {0, 0}} {
		if got, err := ParseOwner(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"root", "-1", "7:", ":8", "4294967295", "7:8:9"} {
		if got, err := ParseOwner(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// TestInMemory compares file systems of this machine.
func TestInMemory(t *testing.T) {
	for path, want := range map[string]bool{"/dev/shm": true, "/proc": false} {
		var found unix.Statfs_t
		if err := unix.Statfs(path, &found); err != nil {
			t.Fatal(err)
		}
		if kind, got := InMemory(found); got != want || kind == 0 {
			t.Errorf("%s: %v, type %#x", path, got, kind)
		}
	}
}
