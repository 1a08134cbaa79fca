// Package holder names the process that holds an address on which nobody else can
// listen:
//
//	socket, err := config.Listen(ctx, "tcp", address)
//	if err != nil {
//		return holder.Explain(err)
//	}
//
// The answer comes from /proc (proc(5)) and is advice for a person, on which nothing
// rests: the process may have ended since, or be hidden from this one. The arguments of
// a process are never shown, because they may hold secrets.
package holder

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"skr/internal/sidecar/serving"
)

// maxSuspects is how many processes are listed where none is known to be the holder.
const maxSuspects = 3

const advice = "stop it or choose another address"

// Explain returns err, and adds which process holds the address if err is the refusal
// of an address in use (EADDRINUSE).
func Explain(err error) error {
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

// Peer says which process listens on the unix socket that conn is connected to.
func Peer(conn net.Conn) string {
	listener := serving.Process(conn)
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
