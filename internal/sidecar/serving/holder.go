package serving

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

// maxSuspects is how many processes are listed if none is known to hold the address.
const maxSuspects = 3

const advice = "stop it or choose another address"

// WithHolder returns err. If err is that of an address in use (EADDRINUSE), it adds which
// process holds the address:
//
//	socket, err := config.Listen(ctx, "tcp", address)
//	if err != nil {
//		return serving.WithHolder(err)
//	}
//
// The answer comes from /proc (proc(5)) and only advises a person: the process may have
// ended since, or be hidden from this one. It never shows the arguments of a process,
// because they may hold secrets.
func WithHolder(err error) error {
	failed, ok := errors.AsType[*net.OpError](err)
	if !ok || !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	address, ok := failed.Addr.(*net.TCPAddr)
	if !ok {
		return err
	}
	return fmt.Errorf("%w: %s", err, proc("/proc").describe(address.AddrPort()))
}

// Holder names the process that listens on the unix socket that conn is connected to.
func Holder(conn net.Conn) string {
	listener := Process(conn)
	if listener == nil || listener.Pid <= 0 { // 0 is a process of another PID namespace
		return "another process listens on this socket, in another container or hidden from this one; " + advice
	}
	return proc("/proc").process(int(listener.Pid)).says("on this socket")
}

func (p proc) describe(wanted netip.AddrPort) string {
	held, found := p.listener(wanted)
	if !found {
		return "no process that listens there can be seen; choose another address"
	}
	holder, suspects := p.owner(held)
	if holder != nil {
		return holder.says("there")
	}
	var names []string
	for _, suspect := range suspects {
		names = append(names, suspect.String())
	}
	text := "a process of user " + held.uid + " listens there"
	if len(names) == 0 || len(names) > maxSuspects {
		return text + ", in another container or hidden from this user; " + advice
	}
	return text + ", probably " + strings.Join(names, " or ") + ", which hides its files; " + advice
}
