package emulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"skr/internal/sidecar/serving"
	"skr/test/emulator/fault"
)

const (
	headerTimeout = 10 * time.Second
	graceTime     = 200 * time.Millisecond // with idle HTTP/2 connections, closing takes all of it
)

// server is one HTTP server on one listener.
type server struct {
	listener net.Listener
	http     http.Server
	done     sync.WaitGroup
}

// listenLoopback refuses every address that other machines could reach.
func listenLoopback(ctx context.Context, address string) (*server, error) {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("the address %q must be an IP address and a port", address)
	}
	if !parsed.Addr().IsLoopback() && !onLoopback(parsed.Addr()) {
		return nil, fmt.Errorf("the address %q is neither a loopback address nor one of a loopback interface; the emulator serves this machine only", address)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, serving.WithHolder(err)
	}
	return &server{listener: listener}, nil
}

// onLoopback reports whether a loopback interface has the address, as after
// "ip address add 169.254.169.254/32 dev lo". Other machines cannot reach it there.
func onLoopback(address netip.Addr) bool {
	interfaces, err := net.Interfaces()
	if err != nil {
		return false
	}
	for _, one := range interfaces {
		addresses, err := one.Addrs()
		if err != nil || one.Flags&net.FlagLoopback == 0 {
			continue
		}
		for _, assigned := range addresses {
			if prefix, err := netip.ParsePrefix(assigned.String()); err == nil && prefix.Addr() == address {
				return true
			}
		}
	}
	return false
}

// listenSocket replaces a socket left behind by an earlier run. It refuses to
// replace one on which another emulator answers.
func listenSocket(ctx context.Context, path string) (*server, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == os.ModeSocket {
		if other, err := new(net.Dialer).DialContext(ctx, "unix", path); err == nil {
			defer func() { _ = other.Close() }() // nothing to flush
			return nil, fmt.Errorf("listening on %q: %s", path, serving.Holder(other))
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return &server{listener: listener}, nil
}

func (s *server) address() string { return s.listener.Addr().String() }

func (s *server) port() uint16 {
	address, ok := s.listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0
	}
	return address.AddrPort().Port()
}

// serve starts to answer requests. Handlers run under ctx.
func (s *server) serve(ctx context.Context, handler http.Handler, log *slog.Logger) {
	s.http.Handler = handler
	s.http.ReadHeaderTimeout = headerTimeout
	s.http.ConnContext = fault.ConnContext
	s.http.BaseContext = func(net.Listener) context.Context { return ctx }
	s.http.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	s.done.Go(func() {
		if err := s.run(); err != nil && !errors.Is(err, http.ErrServerClosed) {
			log.Error("a server stopped", "address", s.address(), "error", err)
		}
	})
}

func (s *server) run() error {
	if s.http.TLSConfig != nil {
		return s.http.ServeTLS(s.listener, "", "")
	}
	return s.http.Serve(s.listener)
}

// close gives running requests a short time to finish, then aborts them.
func (s *server) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), graceTime)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	if closing := s.listener.Close(); closing != nil && !errors.Is(closing, net.ErrClosed) {
		err = errors.Join(err, closing)
	}
	s.done.Wait()
	return err
}

// closer is a server or a device.
type closer interface{ close() error }

func (c *Cloud) closeOwned() error {
	c.mu.Lock()
	owned := c.owned
	c.closed = true
	c.mu.Unlock()
	failed := make([]error, len(owned))
	var done sync.WaitGroup
	for i, o := range owned {
		done.Go(func() { failed[i] = o.close() })
	}
	done.Wait()
	return errors.Join(failed...)
}

// own registers o to be closed by Close. After Close it closes o at once and
// returns an error.
func (c *Cloud) own(o closer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errors.Join(errors.New("the cloud is closed"), o.close())
	}
	c.owned = append(c.owned, o)
	return nil
}
