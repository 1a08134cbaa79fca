// Package sshagent offers signing keys that stay in the sidecar, or in their vault, to programs
// that speak the protocol of ssh-agent (draft-ietf-sshm-ssh-agent): ssh, git, ssh-keygen.
//
//	err := sshagent.Serve(ctx, socket, sshagent.Config{Keys: local})
//
// It answers two messages: which keys there are, and a request to sign. It refuses every other
// message, such as those that add, remove or lock keys. The comment of a key is its alias. RSA
// keys sign with SHA-2 only. [Keys] decides what a caller may use: the context has the
// credentials of the process that connected.
//
// The package does not use ssh/agent's server, which prints errors to the standard logger and
// parses private keys that a caller adds.
package sshagent

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"skr/internal/crash"
	"skr/internal/sidecar/access"
	"skr/internal/sidecar/server"
)

// Keys signs for the caller that the context has.
type Keys interface {
	// Signers returns the keys that the caller may sign with.
	Signers(ctx context.Context) ([]server.Signer, error)
	// SignDigest signs a digest with an algorithm of RFC 7518 section 3.1. A signature of an
	// EC key is r and s in the width of the curve.
	SignDigest(ctx context.Context, with server.Signer, algorithm string, digest []byte) ([]byte, error)
}

var _ Keys = (*server.Server)(nil)

// Config of an agent.
type Config struct {
	// Keys signs.
	Keys Keys
	// Grace is how long running requests may take to end once the agent stops.
	Grace time.Duration
	// Logger gets panics; nil means none.
	Logger *slog.Logger
}

const (
	// maxMessage bounds a request in bytes, as in OpenSSH (AGENT_MAX_LEN of ssh-agent.c).
	maxMessage = 256 << 10

	idleTimeout = 10 * time.Minute // between the requests of a connection
	ioTimeout   = 10 * time.Second // for a message that has begun, and for an answer
)

// Serve answers until ctx ends, and closes the socket. Requests that run then may end within
// Config.Grace. socket bounds the connections.
func Serve(ctx context.Context, socket net.Listener, c Config) error {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	socket = access.Listen(socket)
	defer context.AfterFunc(ctx, func() { _ = socket.Close() })()
	var running sync.WaitGroup
	for {
		conn, err := socket.Accept()
		if err != nil {
			_ = socket.Close()
			return c.stop(ctx, &running, cut, err)
		}
		running.Go(func() {
			a := &connection{Config: c, Conn: conn}
			err := crash.Guard(func() error { return a.serve(access.ConnContext(base, conn), ctx.Done()) })
			if err != nil {
				c.Logger.Debug("a connection to the SSH agent ended", "error", err.Error())
			}
		})
	}
}

// stop waits for the connections, and returns an error if the socket failed or requests were
// cut off.
func (c Config) stop(ctx context.Context, running *sync.WaitGroup, cut func(), err error) error {
	if ctx.Err() == nil {
		cut()
		running.Wait()
		return fmt.Errorf("accepting a connection to the SSH agent: %w", err)
	}
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-time.After(c.Grace):
	}
	cut()
	<-done
	return fmt.Errorf("stopping the SSH agent: cutting off requests after %v", c.Grace)
}
