package handover

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"skr/internal/cli"
	"skr/internal/secretfile"
)

// onlyOwner is the mode of files and memory.
const onlyOwner = 0o400

// checkFile returns an error unless the directory of the file is in memory, or may be on a disk.
func (c *Config) checkFile(path string) error {
	dir := filepath.Dir(path)
	var found unix.Statfs_t
	if err := unix.Statfs(dir, &found); err != nil {
		return fmt.Errorf("%s: its directory cannot be used (%w); mount it, such as an emptyDir with medium: Memory", path, err)
	}
	kind, memory := secretfile.InMemory(found)
	if c.AllowDisk || memory {
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
	if c.Owner != secretfile.SameOwner {
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
	if c.Owner != secretfile.SameOwner {
		if err := file.Chown(c.Owner.UID, c.Owner.GID); err != nil {
			return err
		}
	}
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL
	_, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, seals)
	return err
}
