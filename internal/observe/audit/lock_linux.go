package audit

import (
	"os"
	"syscall"
)

const noFollow = syscall.O_NOFOLLOW

// lock returns EWOULDBLOCK if another process has locked the file.
func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
