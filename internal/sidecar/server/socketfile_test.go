package server

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// A socket has its mode under any umask and never a weaker one, not even between bind and the
// next step.
func TestModeOfSockets(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o077, 0o777} {
		for _, mode := range []fs.FileMode{OwnerOnly, 0o660, Everybody} {
			dir := t.TempDir()
			path := filepath.Join(dir, "skr.sock")
			before := syscall.Umask(umask)
			first, err := (&net.ListenConfig{Control: withMode(mode)}).Listen(t.Context(), "unix", filepath.Join(dir, "first"))
			var listener *Listener
			if err == nil {
				listener, err = Listen(t.Context(), "unix:"+path, mode)
			}
			syscall.Umask(before)
			if err != nil {
				t.Fatal(err)
			}
			if info, err := os.Lstat(filepath.Join(dir, "first")); err != nil || info.Mode().Perm()&^mode != 0 {
				t.Errorf("umask %03o: bind makes %v, want at most %v (%v)", umask, info.Mode(), mode, err)
			}
			if info, err := os.Lstat(path); err != nil || info.Mode() != fs.ModeSocket|mode {
				t.Errorf("umask %03o: mode is %v, want %v (%v)", umask, info.Mode(), mode, err)
			}
			_, _ = first.Close(), listener.Close()
		}
	}
}

// Files created at the same time as sockets keep their normal mode.
func TestSocketsLeaveTheUmaskAlone(t *testing.T) {
	before := syscall.Umask(0)
	defer syscall.Umask(before)
	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	var making sync.WaitGroup
	making.Go(func() {
		for ctx.Err() == nil {
			listener, err := Listen(context.WithoutCancel(ctx), "unix:"+filepath.Join(dir, "skr.sock"), OwnerOnly)
			if err != nil {
				t.Error(err)
				return
			}
			_ = listener.Close()
		}
	})
	defer making.Wait()
	defer stop()
	path := filepath.Join(dir, "file")
	for range 20_000 {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			t.Fatal(err)
		}
		info, err := file.Stat()
		_, _ = file.Close(), os.Remove(path)
		if err != nil || info.Mode().Perm() != 0o666 {
			t.Fatalf("a file created at the same time as a socket has mode %v, %v", info.Mode(), err)
		}
	}
}

// A file in place of the socket and the target of a link stay unchanged.
func TestLendFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	target, path := filepath.Join(dir, "target"), filepath.Join(dir, "skr.sock")
	listener, err := net.Listen("unix", target)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // the test is over
	if err := os.Chmod(target, 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := os.Lstat(target)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, put := range map[string]func() error{
		"a link":  func() error { return os.Symlink(target, path) },
		"a file":  func() error { return os.Link(file, path) },
		"nothing": func() error { return nil },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if Lend(path, os.Getgid()+1) == nil || setMode(path, Everybody) == nil {
			t.Errorf("%s was accepted as the socket", name)
		}
		_ = os.Remove(path)
	}
	after, err := os.Lstat(target)
	if err != nil || after.Mode() != before.Mode() || after.Sys().(*syscall.Stat_t).Gid != before.Sys().(*syscall.Stat_t).Gid {
		t.Errorf("the target is %v now, %v", after.Mode(), err)
	}
	if info, err := os.Lstat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v now, %v", info.Mode(), err)
	}
}

// The group gets the socket if this process may change its group.
func TestLend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "skr.sock")
	listener, err := Listen(t.Context(), "unix:"+path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // the test is over
	group := os.Getgid()
	if os.Geteuid() == 0 {
		group = 4711
	}
	if err := Lend(path, group); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || int(info.Sys().(*syscall.Stat_t).Gid) != group || info.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
