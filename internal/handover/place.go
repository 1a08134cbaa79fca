package handover

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"skr/internal/cli"
)

// onlyOwner is the mode of files and memory.
const onlyOwner = 0o400

// Owner is the user and the group of files and memory. -1 leaves those of this process.
type Owner struct{ UID, GID int }

// SameOwner leaves the owner.
var SameOwner = Owner{-1, -1}

// ParseOwner parses UID or UID:GID. "" is [SameOwner].
func ParseOwner(text string) (Owner, error) {
	if text == "" {
		return SameOwner, nil
	}
	user, group, both := strings.Cut(text, ":")
	uid, err := parseID(user)
	o := Owner{uid, -1}
	if err == nil && both {
		o.GID, err = parseID(group)
	}
	if err != nil {
		return SameOwner, fmt.Errorf("%.80q: write numbers, UID or UID:GID", text)
	}
	return o, nil
}

// parseID parses a user or a group. The largest number stands for none (chown(2)).
func parseID(text string) (int, error) {
	id, err := strconv.ParseUint(text, 10, 32)
	if err != nil || id == math.MaxUint32 {
		return 0, errors.New("no id")
	}
	return int(id), nil
}

// checkFile returns an error unless the directory of the file is in memory, or may be on a disk.
func (c *Config) checkFile(path string) error {
	dir := filepath.Dir(path)
	var found unix.Statfs_t
	if err := unix.Statfs(dir, &found); err != nil {
		return fmt.Errorf("%s: its directory cannot be used (%w); mount it, such as an emptyDir with medium: Memory", path, err)
	}
	kind := int64(found.Type) //nolint:unconvert // int32 on other architectures
	if c.AllowDisk || kind == unix.TMPFS_MAGIC || kind == unix.RAMFS_MAGIC {
		return nil
	}
	return fmt.Errorf("%s: %s is not in memory (its file system has the type %#x), and a disk keeps what is written to it; "+
		"use a tmpfs, such as an emptyDir with medium: Memory, or --allow-disk", path, dir, kind)
}

// writeFile replaces the file, in whose directory another file system may be mounted by now.
func (c *Config) writeFile(path string, secret []byte) error {
	if err := c.checkFile(path); err != nil {
		return err
	}
	file, err := cli.NewPendingFile(path, onlyOwner)
	if err != nil {
		return err
	}
	defer file.Discard()
	if c.Owner != SameOwner {
		if err := file.Chown(c.Owner.UID, c.Owner.GID); err != nil {
			return err
		}
	}
	if err := file.Write(secret); err != nil {
		return err
	}
	return file.Commit()
}

// memoryOf returns a file in memory without a name. It is sealed against changes.
func (c *Config) memoryOf(name string, secret []byte) (*os.File, error) {
	file, err := newMemory(name)
	if err != nil {
		return nil, fmt.Errorf("%s: making a file in memory: %w", name, err)
	}
	if err := c.fill(file, secret); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: writing a file in memory: %w", name, err)
	}
	return file, nil
}

func newMemory(name string) (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // Linux before 6.3
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// fill leaves the offset at the beginning, for programs that read the descriptor.
func (c *Config) fill(file *os.File, secret []byte) error {
	if _, err := file.WriteAt(secret, 0); err != nil {
		return err
	}
	if err := file.Chmod(onlyOwner); err != nil {
		return err
	}
	if c.Owner != SameOwner {
		if err := file.Chown(c.Owner.UID, c.Owner.GID); err != nil {
			return err
		}
	}
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL
	_, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, seals)
	return err
}
