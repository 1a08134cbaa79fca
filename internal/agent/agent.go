// Package agent is the small privileged process of a node that lends its devices
// to sidecars without privileges: the virtual TPM, as far as evidence and key
// release need it, and reports of the processor.
//
//	a := agent.New(agent.Config{TPM: t, Source: source, Logger: log})
//	err := a.ServeTPM(ctx, socket)     // until ctx ends
//	err := a.ServeReports(ctx, socket)
//
// It holds no key and verifies nothing: what it passes on is worth what its
// signatures are. It does not tell pods apart either. Whoever reaches its sockets can
// have the node's evidence made and use its ephemeral key, as can whoever reaches
// the devices; but nobody can change what was measured, clear the TPM, or fill it.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"skr/attest/snp"
	"skr/internal/crash"
	"skr/internal/serving"
	"skr/internal/tpm"
)

const (
	// maxConnections bounds those to each socket, and one uid to as many as are free:
	// pods of a node are some hundred at most, and each asks for moments.
	maxConnections = 64
	grace          = 2 * time.Second
)

// Config is what an Agent lends.
type Config struct {
	// TPM is the node's; nil if it has none.
	TPM *tpm.TPM
	// Source gives the processor's reports; nil if it gives none here.
	Source snp.Source
	// Logger gets what goes wrong; nil means nobody.
	Logger *slog.Logger
}

// Agent lends devices. It is safe for concurrent use.
type Agent struct{ config Config }

// New makes an Agent. It opens nothing.
func New(c Config) *Agent {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Agent{c}
}

// ServeTPM passes commands to the TPM until ctx ends, and closes the socket.
func (a *Agent) ServeTPM(ctx context.Context, socket net.Listener) error {
	limited := serving.NewBound(maxConnections, a.config.Logger).Listener(socket)
	stop := context.AfterFunc(ctx, func() { _ = limited.Close() }) // Accept returns
	defer stop()
	var clients sync.WaitGroup
	defer clients.Wait()
	for {
		client, err := limited.Accept()
		if err != nil && (ctx.Err() != nil || errors.Is(err, net.ErrClosed)) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("agent: accepting: %w", err)
		}
		clients.Go(func() { a.relay(ctx, client) })
	}
}

func (a *Agent) relay(ctx context.Context, client net.Conn) {
	if err := crash.Guard(func() error { return a.config.TPM.Relay(ctx, client) }); err != nil {
		a.config.Logger.Warn("a client of the TPM", "error", err.Error())
	}
}
