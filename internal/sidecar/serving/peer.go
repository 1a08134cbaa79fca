package serving

import (
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// subnet is what one machine has of IPv6 at least (RFC 4291 section 2.5.4): an address
// below it is free to choose.
const subnet = 64

const userPrefix = "uid "

// Peer names who opened a connection, as far as the kernel knows before a byte is read:
// "uid 1000" on a unix socket (SO_PEERCRED, unix(7)), else the address without its port.
// The addresses of the loopback interface are one peer, because a process may connect
// from any of 127.0.0.0/8.
func Peer(conn net.Conn) string {
	if conn.RemoteAddr() != nil && conn.RemoteAddr().Network() == "unix" {
		if process := Process(conn); process != nil {
			return userPrefix + strconv.FormatUint(uint64(process.Uid), 10)
		}
		return "unknown"
	}
	address, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return "unknown"
	}
	ip := address.AddrPort().Addr().Unmap().WithZone("")
	switch {
	case ip.IsLoopback():
		return "loopback"
	case ip.Is6():
		return netip.PrefixFrom(ip, subnet).Masked().String()
	}
	return ip.String()
}

// Process returns the process at the other end of a unix connection, with its user: the
// one that connected, or for a client the one that listens (SO_PEERCRED, unix(7)). It is
// nil for other connections, and for closed ones.
func Process(conn net.Conn) (process *unix.Ucred) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	_ = raw.Control(func(fd uintptr) {
		process, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil {
		return nil // another kind of socket
	}
	return process
}
