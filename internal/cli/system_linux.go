package cli

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// isMountPoint returns an error if the file itself is a mount point, like single files in a container.
// Such a file cannot be replaced, which would otherwise show only after the release.
func isMountPoint(path string) error {
	var state unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &state)
	if err == nil && state.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 && state.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return errors.New("is a mount point and cannot be replaced; mount its directory")
	}
	return nil // if the kernel does not know, replacing the file will show it
}

func isTerminal(file *os.File) bool {
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS) // #nosec G115 -- descriptors are small
	return err == nil
}

const noWait = unix.O_NONBLOCK
