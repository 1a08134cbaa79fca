package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"skr/internal/access"
	"skr/internal/admission"
	"skr/internal/audit"
	"skr/internal/server"
)

func serveCommand(env environment, io streams) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Serve the local API (the default)",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return serve(cmd, env, io) },
	}
}

// serve answers until the context ends, which SIGTERM does.
func serve(cmd *cobra.Command, env environment, io streams) error {
	s, _, err := load(cmd.Flags(), env)
	if err != nil {
		return err
	}
	log, closeLog, err := openLog(s, io.err)
	if err != nil {
		return err
	}
	defer closeLog()
	harden(log)
	ctx := cmd.Context()
	told, err := newObserver(ctx, env, log)
	if err != nil {
		return err
	}
	defer told.close(ctx, log)
	records, err := openAudit(s, log)
	if err != nil {
		return err
	}
	defer closeAudit(records, log)
	parts, err := assemble(s, told, log)
	if err != nil {
		return err
	}
	if err := parts.serve(ctx, s, told, records, log); err != nil {
		log.Error("stopped", "error", err.Error())
		return err
	}
	log.Info("stopped")
	return nil
}

// serve opens the listeners, and runs what runs beside them.
func (p *sidecar) serve(ctx context.Context, s *settings, told *observer, records *audit.Log, log *slog.Logger) error {
	ready := newReadiness(p, s.RequestTimeout, log)
	gate := admission.New(admission.Config{MaxConcurrent: s.MaxConcurrent, MaxQueued: s.MaxQueued, Rate: s.CallerRate})
	local, err := p.server(s, ready, gate, told, records, log)
	if err != nil {
		return err
	}
	told.metrics.Watch(p.state(ready, gate))
	listener, err := server.Listen(ctx, s.Listen, socketMode(p.access))
	if err != nil {
		return &configError{fmt.Errorf("listen: %w", err)}
	}
	operations, err := listenOps(ctx, s.OpsListen, ready, records, told, log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	log.Info("listening", "address", listener.String(), "version", version(), "callers", callers(p.access))
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return local.Serve(running, listener) })
	group.Go(func() error { return operations.serve(running) })
	group.Go(func() error { ready.await(running); return nil })
	group.Go(p.releaser.Prepare)
	return group.Wait()
}

func (p *sidecar) server(s *settings, ready *readiness, gate *admission.Gate, told *observer, records *audit.Log, log *slog.Logger) (*server.Server, error) {
	return server.New(server.Config{
		Evidence: p.attester, Tokens: p.releaser, Releases: p.releaser,
		Authorities: p.authorities, Vaults: p.vaults, Aliases: p.aliases,
		Access: p.access, Gate: gate, Witness: &witness{records, told}, Finished: told.finished,
		Ready: ready.err, UVMEndorsements: p.context.ReferenceInfo(),
		Deadline: s.RequestTimeout, Grace: s.StopGrace, Logger: log, Now: time.Now,
	})
}

// socketMode lets everybody connect where the access policy then tells callers
// apart.
func socketMode(policy *access.Policy) fs.FileMode {
	if policy.Binds() {
		return server.Everybody
	}
	return server.OwnerOnly
}

func callers(policy *access.Policy) string {
	if policy.Binds() {
		return "by the access section"
	}
	return "whoever reaches the listener"
}

// oneShot assembles the parts for a command that asks once and ends. Its log
// goes to standard error and says only what went wrong.
func oneShot(cmd *cobra.Command, env environment, io streams) (*settings, *sidecar, error) {
	s, _, err := load(cmd.Flags(), env)
	if err != nil {
		return nil, nil, err
	}
	log := slog.New(slog.NewTextHandler(io.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	harden(log)
	parts, err := assemble(s, nil, log)
	return s, parts, err
}

// baseURL is where a client on this machine finds the listener.
func baseURL(listen string) string {
	if strings.HasPrefix(listen, "unix:") {
		return listen
	}
	return "http://" + listen
}
