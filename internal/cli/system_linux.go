package cli

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// isMountPoint refuses a file that is mounted by itself, as a container's single files
// are: it cannot be replaced, which would show only after a key was released.
func isMountPoint(path string) error {
	var state unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &state)
	if err == nil && state.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 && state.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return errors.New("is mounted by itself and cannot be replaced; mount its directory")
	}
	return nil // where the kernel cannot tell, replacing it will
}

func isTerminal(file *os.File) bool {
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS) // #nosec G115 -- descriptors are small
	return err == nil
}

const noWait = unix.O_NONBLOCK
