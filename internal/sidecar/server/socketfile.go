package server

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// withMode gives a socket its mode before it has a file: bind makes the file with the
// mode of the socket, less the process's umask (Linux, unix_bind_bsd in
// net/unix/af_unix.c). So nobody can connect who may not, at any moment, and the umask,
// which all goroutines share, stays as it is.
func withMode(mode fs.FileMode) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) (err error) {
		controlled := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), uint32(mode.Perm())) })
		if err == nil {
			err = controlled
		}
		return os.NewSyscallError("fchmod", err)
	}
}

// setMode adds what the umask has taken away.
func setMode(path string, mode fs.FileMode) error {
	return onSocket(path, func(fd int, now fs.FileMode) error {
		if now == mode {
			return nil
		}
		// chmod on a descriptor that is only a place (O_PATH) works through /proc alone.
		return os.Chmod("/proc/self/fd/"+strconv.Itoa(fd), mode)
	})
}

// Lend gives the socket at path to a group.
func Lend(path string, group int) error {
	err := onSocket(path, func(fd int, _ fs.FileMode) error { return unix.Fchownat(fd, "", -1, group, unix.AT_EMPTY_PATH) })
	if err != nil {
		return fmt.Errorf("giving %q to group %d: %w", path, group, err)
	}
	return nil
}

// onSocket works on the socket itself, through a descriptor. A link that somebody has put
// in its place is not followed.
func onSocket(path string, work func(fd int, mode fs.FileMode) error) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	var info unix.Stat_t
	if err := unix.Fstat(fd, &info); err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if info.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return &fs.PathError{Op: "stat", Path: path, Err: fmt.Errorf("%w: it is no socket: was something else put in its place?", fs.ErrInvalid)}
	}
	return work(fd, fs.FileMode(info.Mode).Perm())
}
