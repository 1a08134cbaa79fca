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
		return user(conn)
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

func user(conn net.Conn) string {
	known, ok := conn.(syscall.Conn)
	if !ok {
		return "unknown"
	}
	raw, err := known.SyscallConn()
	if err != nil {
		return "unknown"
	}
	name := "unknown"
	_ = raw.Control(func(fd uintptr) { // a closed connection stays unknown
		if credentials, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			name = userPrefix + strconv.FormatUint(uint64(credentials.Uid), 10)
		}
	})
	return name
}
