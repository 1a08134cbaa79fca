package sinks

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"skr/internal/secmem"
	"skr/internal/secretfile"
)

// place is where a file is kept.
type place struct {
	path     string
	dir      string
	name     string // in dir
	resolved string // path with the links of its directory resolved
	disk     bool   // a disk is allowed
	access   access
}

// newPlace returns an error if the file cannot be one that is replaced in memory.
func newPlace(s Spec) (place, error) {
	a, err := s.parseAccess()
	if err != nil {
		return place{}, err
	}
	p := place{path: s.Path, dir: filepath.Dir(s.Path), name: filepath.Base(s.Path), disk: s.AllowDisk, access: a}
	dir, err := filepath.EvalSymlinks(p.dir)
	if err != nil {
		return place{}, fmt.Errorf("path: the directory %s cannot be used (%w); mount it, such as an emptyDir with medium: Memory", p.dir, reason(err))
	}
	p.resolved = filepath.Join(dir, p.name)
	root, err := p.open()
	if err != nil {
		return place{}, err
	}
	defer root.Close() //nolint:errcheck // nothing was written
	return p, p.check(root)
}

// open opens the directory and checks that it is in memory: a mount may have changed since the start.
func (p place) open() (*os.Root, error) {
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return nil, fmt.Errorf("path: the directory %s cannot be opened (%w)", p.dir, reason(err))
	}
	if err := p.checkMemory(root); err != nil {
		_ = root.Close()
		return nil, err
	}
	return root, nil
}

func (p place) checkMemory(root *os.Root) error {
	if p.disk {
		return nil
	}
	dir, err := root.Open(".")
	if err != nil {
		return fmt.Errorf("path: the directory %s cannot be opened (%w)", p.dir, reason(err))
	}
	defer dir.Close() //nolint:errcheck // nothing was written
	var found unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &found); err != nil {
		return fmt.Errorf("path: the file system of %s cannot be examined (%w)", p.dir, err)
	}
	if kind, memory := secretfile.InMemory(found); !memory {
		return fmt.Errorf("path: %s is not in memory (its file system has the type %#x), and a disk keeps what is written to it; "+
			"use a tmpfs, such as an emptyDir with medium: Memory, or set allow_disk: true", p.dir, kind)
	}
	return nil
}

// check returns an error if there is something else than a file.
func (p place) check(root *os.Root) error {
	info, err := root.Lstat(p.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("path: %s cannot be examined (%w)", p.path, reason(err))
	case info.IsDir():
		return fmt.Errorf("path: %s is a directory; name a file", p.path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("path: %s is no regular file but a link, a device or a socket; remove it, or name its target", p.path)
	}
	return nil
}

// draftPrefix begins the names of files that are not whole yet.
func (p place) draftPrefix() string { return "." + p.name + ".skr-" }

// clean removes what a process that was killed left behind.
func (p place) clean() error {
	root, err := p.open()
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // nothing was written
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return fmt.Errorf("reading %s: %w", p.dir, reason(err))
	}
	var failed error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), p.draftPrefix()) && e.Type().IsRegular() {
			failed = errors.Join(failed, root.Remove(e.Name()))
		}
	}
	return failed
}

// write replaces the file, unless it is the same already.
func (p place) write(content []byte) (replaced bool, err error) {
	root, err := p.open()
	if err != nil {
		return false, err
	}
	defer root.Close() //nolint:errcheck // the file was closed
	if err := p.check(root); err != nil {
		return false, err
	}
	if p.has(root, content) {
		return false, nil
	}
	draft := p.draftPrefix() + rand.Text()
	if err := p.draft(root, draft, content); err != nil {
		return false, errors.Join(fmt.Errorf("writing %s: %w", p.path, reason(err)), ignoreMissing(root.Remove(draft)))
	}
	if err := root.Rename(draft, p.name); err != nil {
		return false, errors.Join(fmt.Errorf("replacing %s: %w", p.path, reason(err)), ignoreMissing(root.Remove(draft)))
	}
	return true, nil
}

// draft writes a new file, which only skr can open until it is complete.
func (p place) draft(root *os.Root, name string, content []byte) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o200)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil && p.access.owner.UID >= 0 {
		err = file.Chown(p.access.owner.UID, p.access.owner.GID)
	}
	if err == nil {
		err = file.Chmod(p.access.mode) // after Chown, and whatever the umask is
	}
	if err == nil && p.disk {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// has reports whether the file has this content, mode and owner.
func (p place) has(root *os.Root, content []byte) bool {
	file, err := root.OpenFile(p.name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0) // it may be a pipe by now
	if err != nil {
		return false
	}
	defer file.Close() //nolint:errcheck // nothing was written
	info, err := file.Stat()
	if err != nil || info.Mode() != p.access.mode || info.Size() != int64(len(content)) || !p.access.owns(info) {
		return false
	}
	found := make([]byte, len(content)+1)
	defer secmem.Wipe(found)
	n, _ := io.ReadFull(file, found)
	return bytes.Equal(found[:n], content)
}

// owns reports whether the owner is the wanted one.
func (a access) owns(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (a.owner.UID < 0 || int(stat.Uid) == a.owner.UID) && (a.owner.GID < 0 || int(stat.Gid) == a.owner.GID)
}

func (p place) remove() error {
	root, err := p.open()
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // nothing was written
	return ignoreMissing(root.Remove(p.name))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// reason returns the error of the system, without the path that the caller says.
func reason(err error) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return err
}

func inode(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}
