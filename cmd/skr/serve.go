package main

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

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
	parts, err := assemble(s, log)
	if err != nil {
		return err
	}
	ready := newReadiness(parts, s.RequestTimeout, log)
	local, err := parts.server(s, ready, log)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	listener, err := server.Listen(ctx, s.Listen)
	if err != nil {
		return &configError{fmt.Errorf("listen: %w", err)}
	}
	log.Info("listening", "address", listener.String(), "version", version())
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return local.Serve(running, listener) })
	group.Go(func() error { ready.await(running); return nil })
	group.Go(parts.releaser.Prepare)
	err = group.Wait()
	if err != nil {
		log.Error("stopped", "error", err.Error())
		return err
	}
	log.Info("stopped")
	return nil
}

func (p *sidecar) server(s *settings, ready *readiness, log *slog.Logger) (*server.Server, error) {
	return server.New(server.Config{
		Evidence: p.attester, Tokens: p.releaser, Releases: p.releaser,
		Authorities: p.authorities, Vaults: p.vaults,
		Ready: ready.err, UVMEndorsements: p.context.ReferenceInfo(),
		Deadline: s.RequestTimeout, Grace: s.StopGrace, Logger: log, Now: time.Now,
	})
}

// oneShot assembles the parts for a command that asks once and ends. Its log
// goes to standard error and says only what went wrong.
func oneShot(cmd *cobra.Command, env environment, io streams) (*settings, *sidecar, error) {
	s, _, err := load(cmd.Flags(), env)
	if err != nil {
		return nil, nil, err
	}
	log := slog.New(slog.NewTextHandler(io.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	parts, err := assemble(s, log)
	return s, parts, err
}

// baseURL is where a client on this machine finds the listener.
func baseURL(listen string) string {
	if strings.HasPrefix(listen, "unix:") {
		return listen
	}
	return "http://" + listen
}
