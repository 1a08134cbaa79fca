package hardening

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// refuseDumps changes the address space, which all threads share.
func refuseDumps() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

func refuseCores() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }

// refusePrivileges changes each thread: the flag is a thread's own, and the
// runtime has started some by now. A binary with cgo cannot do that, and is told
// so by ENOTSUP.
func refusePrivileges() error {
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
