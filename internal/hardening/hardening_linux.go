package hardening

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// refuseDumps affects the address space, which all threads share.
func refuseDumps() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

func refuseCores() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }

// refusePrivileges changes all threads, because the flag belongs to a thread and the runtime has started
// some already. With cgo, it returns ENOTSUP.
func refusePrivileges() error {
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
