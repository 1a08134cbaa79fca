// Package agent is the small privileged process of a node that lends its devices
// to sidecars without privileges: the virtual TPM, as far as evidence and key
// release need it, and reports of the processor.
//
//	a := agent.New(agent.Config{TPM: t, Source: source, Logger: log})
//	err := a.ServeTPM(ctx, socket)     // until ctx ends
//	err := a.ServeReports(ctx, socket)
//
// It holds no key and verifies nothing: what it passes on is worth what its
// signatures are. Its evidence does not tell pods apart: a caller that reaches its
// sockets can have the node's evidence made and use its ephemeral key, as can one that
// reaches the devices. But a caller cannot change what was measured, clear or fill the
// TPM, or keep it from others: see [tpm.Relay]. Callers are told apart by user id, which
// a pod may choose.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"sync"
	"time"

	"skr/attest/snp"
	"skr/attest/tpm"
	"skr/internal/crash"
	"skr/internal/sidecar/serving"
)

const (
	// maxConnections bounds those to each socket, and one uid to as many as are free:
	// pods of a node are some hundred at most, often of one uid, and one that awaits a
	// fresh report keeps its connection.
	maxConnections = 256
	grace          = 2 * time.Second
)

// Config is what an Agent lends.
type Config struct {
	// TPM is the node's; nil if it has none.
	TPM *tpm.TPM
	// Source gives the processor's reports; nil if it gives none here.
	Source snp.Source
	// Logger gets what goes wrong; nil discards it.
	Logger *slog.Logger
}

// Agent lends devices. It is safe for concurrent use.
type Agent struct {
	config  Config
	relay   *tpm.Relay // nil without a TPM
	refused tally
	failed  tally
	missing tally // reports
}

// New makes an Agent. It opens nothing.
func New(c Config) *Agent {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Agent{config: c, refused: tally{now: time.Now}, failed: tally{now: time.Now}, missing: tally{now: time.Now}}
	if c.TPM != nil {
		a.relay = c.TPM.NewRelay()
		a.relay.Refused = a.countRefused
	}
	return a
}

// countRefused tells of refused commands, at most once in refusalPause.
func (a *Agent) countRefused(user, command uint32) {
	if count := a.refused.add(); count > 0 {
		a.config.Logger.Warn("refused commands that are not lent", "count", count, "uid", user, "command", fmt.Sprintf("0x%x", command))
	}
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
			return fmt.Errorf("accepting a connection: %w", err)
		}
		clients.Go(func() { a.serve(ctx, client) })
	}
}

// unknownUser is that of a connection of which the kernel tells none.
const unknownUser = math.MaxUint32

// serve tells of connections that fail, at most once in refusalPause: a caller can cause
// as many as it likes.
func (a *Agent) serve(ctx context.Context, client net.Conn) {
	user := uint32(unknownUser)
	if process := serving.Process(client); process != nil {
		user = process.Uid
	}
	err := crash.Guard(func() error { return a.relay.Serve(ctx, user, client) })
	if err == nil {
		return
	}
	if count := a.failed.add(); count > 0 {
		a.config.Logger.Warn("clients of the TPM", "count", count, "uid", user, "error", err.Error())
	}
}
