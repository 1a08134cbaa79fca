package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"skr/internal/sidecar/serving"
)

// Listener accepts connections from this machine alone.
type Listener struct{ sockets []net.Listener }

// Sockets returns the open sockets: one, or two for "localhost".
func (l *Listener) Sockets() []net.Listener { return l.sockets }

// String returns the address for people: "127.0.0.1:8080", "unix:/run/skr.sock".
func (l *Listener) String() string {
	if len(l.sockets) == 0 {
		return "nothing"
	}
	address := l.sockets[0].Addr()
	if address.Network() == "unix" {
		return "unix:" + address.String()
	}
	return address.String()
}

// Close closes the sockets of a Listener that is not served.
func (l *Listener) Close() error {
	var failed []error
	for _, socket := range l.sockets {
		failed = append(failed, socket.Close())
	}
	return errors.Join(failed...)
}

// The modes of a socket, which decide who may connect to it.
const (
	OwnerOnly fs.FileMode = 0o600
	// Everybody is for a server whose access policy identifies callers by their uid.
	Everybody fs.FileMode = 0o666
)

// Listen opens "localhost:PORT", which is 127.0.0.1 and, where the machine has
// it, ::1 on the same port; "127.0.0.1:PORT"; "[::1]:PORT"; or "unix:/path", a
// socket of the given mode. Port 0 means any free port. Every other address is refused:
// the routes give keys to any caller that can connect.
func Listen(ctx context.Context, address string, mode fs.FileMode) (*Listener, error) {
	var sockets []net.Listener
	var err error
	if path, isUnix := strings.CutPrefix(address, "unix:"); isUnix {
		sockets, err = listenUnix(ctx, path, mode)
	} else {
		sockets, err = listenTCP(ctx, address)
	}
	if err != nil {
		return nil, fmt.Errorf("listening on %q: %w", address, err)
	}
	return &Listener{sockets}, nil
}

func listenTCP(ctx context.Context, address string) ([]net.Listener, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, errors.New("the address is not host:port or unix:/path")
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, errors.New("the port is not a number from 0 to 65535")
	}
	switch host {
	case "localhost":
		return listenBoth(ctx, uint16(port))
	case "127.0.0.1", "::1":
		socket, err := open(ctx, host, uint16(port))
		return []net.Listener{socket}, err
	}
	return nil, errors.New("only localhost, 127.0.0.1, [::1] and unix:/path are allowed, " +
		"because every caller that reaches this port gets keys; containers of one pod share its loopback interface")
}

func open(ctx context.Context, host string, port uint16) (net.Listener, error) {
	var config net.ListenConfig
	socket, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
	return socket, serving.WithHolder(err)
}

// listenBoth opens both loopback addresses. It returns an error if the port is in use on
// ::1 alone: clients that resolve localhost to ::1 would reach another program.
func listenBoth(ctx context.Context, port uint16) ([]net.Listener, error) {
	const tries = 8 // for port 0: the port chosen on 127.0.0.1 may be in use on ::1
	for try := 1; ; try++ {
		sockets, err := openBoth(ctx, port)
		if err == nil || port != 0 || try == tries || !errors.Is(err, syscall.EADDRINUSE) {
			return sockets, err
		}
	}
}

func openBoth(ctx context.Context, port uint16) ([]net.Listener, error) {
	first, err := open(ctx, "127.0.0.1", port)
	if err != nil {
		return nil, err
	}
	chosen, _ := first.Addr().(*net.TCPAddr)
	second, err := open(ctx, "::1", uint16(chosen.Port)) //nolint:gosec // a port has 16 bits
	switch {
	case err == nil:
		return []net.Listener{first, second}, nil
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
		return []net.Listener{first}, nil // no IPv6 here
	}
	_ = first.Close()
	return nil, err
}

func listenUnix(ctx context.Context, path string, mode fs.FileMode) ([]net.Listener, error) {
	if !filepath.IsAbs(path) {
		return nil, errors.New("the path of the socket is not absolute")
	}
	if err := clearStale(ctx, path); err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: withMode(mode)}
	socket, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := setMode(path, mode); err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return []net.Listener{socket}, nil
}

// clearStale removes the socket of a process that no longer runs, and nothing else.
func clearStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("the path exists and is not a socket")
	}
	var dialer net.Dialer
	other, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		defer func() { _ = other.Close() }() // nothing was sent
		return errors.New(serving.Holder(other))
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("asking who listens on this socket: %w", err)
	}
	return os.Remove(path)
}
