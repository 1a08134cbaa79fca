package agent

import (
	"math"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unknownUser is that of a connection of which the kernel tells none.
const unknownUser = math.MaxUint32

// userOf is the user id of the process that connected (SO_PEERCRED, unix(7)).
func userOf(c net.Conn) uint32 {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return unknownUser
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return unknownUser
	}
	user := uint32(unknownUser)
	_ = raw.Control(func(fd uintptr) {
		if credentials, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			user = credentials.Uid
		}
	})
	return user
}
