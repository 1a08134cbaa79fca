package access

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// errExited: the process that opened the connection is no more.
var errExited = errors.New("the process that opened the connection has exited")

// peer is the process that opened a unix connection. A nil peer stands for a
// connection of another kind.
type peer struct {
	credentials *unix.Ucred // nil if the kernel did not tell
	pidfd       *os.File    // refers to this process and no later one; nil if there is none
	err         error       // why there is none
}

// peerOf never fails: what it could not learn is an error of each request.
func peerOf(c syscall.Conn) *peer {
	p := &peer{}
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { p.ask(int(fd)) })
	}
	if err != nil {
		p.err = fmt.Errorf("asking for the peer: %w", err)
	}
	return p
}

// ask by SO_PEERCRED and SO_PEERPIDFD, unix(7).
func (p *peer) ask(fd int) {
	if p.credentials, p.err = unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED); p.err != nil {
		p.err = fmt.Errorf("asking for the peer's credentials: %w", p.err)
		return
	}
	pidfd, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if errors.Is(err, unix.ENOPROTOOPT) { // before Linux 6.5
		pidfd, err = openPID(p.credentials)
	}
	p.keep(pidfd, err)
}

// keep the descriptor, or the reason why there is none. Before Linux 6.16 the
// kernel gives none of a process that is gone: EINVAL, later ESRCH.
func (p *peer) keep(pidfd int, err error) {
	switch {
	case err == nil:
		p.pidfd = os.NewFile(uintptr(pidfd), "pidfd")
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ESRCH), errors.Is(err, errExited):
		p.err = errExited
	default:
		p.err = fmt.Errorf("asking for a descriptor of the peer's process: %w", err)
	}
}

// openPID opens the process by its number. By now the number may be another
// process's. That one is not told from the peer if it runs as the same user and
// group: it could have opened the connection itself.
func openPID(u *unix.Ucred) (int, error) {
	if u.Pid <= 0 {
		return -1, errors.New("the process is of another namespace")
	}
	pidfd, err := unix.PidfdOpen(int(u.Pid), 0)
	if err != nil {
		return -1, err
	}
	var info unix.Stat_t
	err = unix.Stat(fmt.Sprintf("/proc/%d", u.Pid), &info)
	if err == nil && (info.Uid != u.Uid || info.Gid != u.Gid) {
		err = errExited
	}
	if err != nil {
		_ = unix.Close(pidfd)
		return -1, err
	}
	return pidfd, nil
}

// check that the process is alive: nil also for a connection that has no peer
// to check. An error other than errExited means that this is unknown.
func (p *peer) check() error {
	if p == nil {
		return nil
	}
	if p.pidfd == nil {
		return p.err
	}
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return fmt.Errorf("asking whether the peer is alive: %w", err)
	}
	exited := true
	if err := raw.Control(func(fd uintptr) { exited = hasExited(int32(fd)) }); err != nil || exited { //nolint:gosec // a descriptor is a small number
		return errExited // or closed with its connection
	}
	return nil
}

// hasExited: a pidfd is readable once its process has ended, pidfd_open(2).
func hasExited(fd int32) bool {
	fds := []unix.PollFd{{Fd: fd, Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if errors.Is(err, syscall.EINTR) {
			continue // also a poll that does not wait ends when a signal comes
		}
		return n != 0 || err != nil
	}
}

func (p *peer) close() {
	if p.pidfd != nil {
		_ = p.pidfd.Close() // nothing was written
	}
}

// caller without rules.
func (p *peer) caller() Caller {
	c := Caller{local: true}
	if p != nil && p.credentials != nil {
		c.known, c.uid, c.gid, c.pid = true, p.credentials.Uid, p.credentials.Gid, p.credentials.Pid
	}
	return c
}
