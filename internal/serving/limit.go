package serving

import (
	"errors"
	"net"
	"sync"
	"syscall"
)

// limited accepts only while fewer than its places are taken. Further
// connections wait in the kernel's queue, which is bounded too.
type limited struct {
	net.Listener
	places chan struct{} // one element for each open connection
	closed chan struct{}
	once   sync.Once
}

// Limit lets at most that many connections be open at once. Further ones wait in the
// kernel's queue.
func Limit(socket net.Listener, connections int) net.Listener {
	return &limited{Listener: socket, places: make(chan struct{}, connections), closed: make(chan struct{})}
}

// Accept waits for a place and then for a connection.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		l.leave()
		return nil, err
	}
	return &placed{Conn: conn, leave: sync.OnceFunc(l.leave)}, nil
}

func (l *limited) leave() { <-l.places }

// Close also ends an Accept that waits for a place.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// placed is a connection that gives its place back once.
type placed struct {
	net.Conn
	leave func()
}

func (p *placed) Close() error {
	defer p.leave()
	return p.Conn.Close()
}

// SyscallConn implements [syscall.Conn], by which package agent asks for the peer.
func (p *placed) SyscallConn() (syscall.RawConn, error) {
	if raw, ok := p.Conn.(syscall.Conn); ok {
		return raw.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}
