package access

import (
	"context"
	"net"
	"syscall"
)

// Listen returns l with connections that know their peer's credentials, where
// they are of a unix socket. A peer that is gone when its connection is
// accepted is no error of the listener: its requests are refused.
func Listen(l net.Listener) net.Listener { return &listener{l} }

type listener struct{ net.Listener }

// Accept asks the kernel at once who connected.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if raw, ok := c.(syscall.Conn); ok && c.LocalAddr().Network() == "unix" {
		return &conn{c, peerOf(raw)}, nil
	}
	return c, nil
}

type conn struct {
	net.Conn
	peer *peer
}

// Close closes the descriptor of the peer, too.
func (c *conn) Close() error {
	c.peer.close()
	return c.Conn.Close()
}

type peerKey struct{}

// ConnContext lets [Policy.Identify] see the peer of c. It is for
// http.Server.ConnContext.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if c, ok := c.(*conn); ok {
		return context.WithValue(ctx, peerKey{}, c.peer)
	}
	return ctx
}
