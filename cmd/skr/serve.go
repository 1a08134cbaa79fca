package main

import (
	"context"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"skr/attest"
	"skr/internal/observe/audit"
	"skr/internal/sidecar/access"
	"skr/internal/sidecar/limit"
	"skr/internal/sidecar/server"
	"skr/internal/sidecar/serving"
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
	return s.origins.explain(s.serve(cmd.Context(), env, io))
}

func (s *settings) serve(ctx context.Context, env environment, io streams) error {
	out, err := openLog(s, io.err)
	if err != nil {
		return err
	}
	defer out.close()
	log := out.Logger
	started := tuneCollector(env, s.MaxConcurrent)
	harden(log)
	told := newObserver(ctx, env, log)
	defer told.close(ctx, log)
	records, err := openAudit(s, out.audit)
	if err != nil {
		return err
	}
	defer closeAudit(records, log)
	parts, err := assemble(s, told, log)
	if err != nil {
		return err
	}
	parts.faults.add(traces, told.untraced)
	for _, warning := range s.unused {
		log.Warn(warning)
	}
	s.warnOfClouds(log)
	warnOfAttesting(parts.access, log)
	service := &service{
		sidecar: parts, settings: s, told: told, records: records, log: log,
		ready:       newProof(parts, s.RequestTimeout, started, log),
		gate:        limit.New(limit.Config{MaxConcurrent: s.MaxConcurrent, MaxQueued: s.MaxQueued, Rate: s.CallerRate}),
		connections: s.connections(serving.Descriptors(), log),
	}
	if err := service.run(ctx); err != nil {
		log.Error("stopped", "error", err.Error())
		return err
	}
	log.Info("stopped")
	return nil
}

// service is a sidecar with what runs beside it.
type service struct {
	*sidecar
	settings *settings
	ready    *proof
	gate     *limit.Gate
	connections
	told    *observer
	records *audit.Log
	log     *slog.Logger
}

// run opens the listeners and answers until ctx ends.
func (s *service) run(ctx context.Context) error {
	local, err := s.local()
	if err != nil {
		return err
	}
	s.told.metrics.Watch(s.state())
	listeners, err := s.listen(ctx)
	if err != nil {
		return err
	}
	operations, err := s.listenOps(ctx)
	s.faults.add(opsListener, err)
	s.faults.tell(s.log)
	s.tellIssuer(s.log)
	s.log.Info("listening", "address", listeners.String(), "version", version(), "callers", callers(s.access))
	s.releaser.Prepare()
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return listeners.serve(running, local) })
	group.Go(func() error { return operations.serve(running) })
	group.Go(func() error { s.ready.await(running); return nil })
	group.Go(func() error { s.meetAuthorities(running); return nil })
	return group.Wait()
}

// meetAuthorities gets the signing keys of those that aliases name, before the first
// release asks for them. Who cannot be met now is asked again then, and told of.
func (s *service) meetAuthorities(ctx context.Context) {
	met := map[attest.Authority]bool{}
	for _, request := range s.aliases {
		for _, way := range request.Ways() {
			if met[way.Authority] {
				continue
			}
			met[way.Authority] = true
			if err := s.verifier.Prepare(ctx, way.Authority); err != nil {
				s.log.Debug("no signing keys yet", "error", err.Error())
			}
		}
	}
}

// local is the server for applications.
func (s *service) local() (*server.Server, error) {
	return server.New(server.Config{
		Evidence: s.attester, Tokens: s.releaser, Releases: s.releaser,
		Authorities: s.authorities, Vaults: s.vaults, Aliases: s.aliases,
		Access: s.access, Gate: s.gate, Connections: s.http, GRPCConnections: s.grpc,
		Auditor: &witness{s.records, s.told}, Finished: s.told.finished,
		LocalNames: server.LocalNames("/etc/hosts"),
		WrapKeys:   s.wrapKeys, WrapKeysErr: s.wrapKeysErr, KeyTTL: s.settings.KeyCacheTTL,
		Parts: s.parts(), Problems: s.faults.problems, UVMEndorsements: s.context.ReferenceInfo(),
		Deadline: s.settings.RequestTimeout, Grace: s.settings.StopGrace, Logger: s.log, Now: time.Now,
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

// warnOfAttesting names the rules that skr cannot hold to the aliases.
func warnOfAttesting(policy *access.Policy, log *slog.Logger) {
	for _, rule := range policy.Unguarded(server.AttestingRoutes()) {
		log.Warn(`this access rule has keys: ["*"], and its callers may attest: with a key pair of their own they get every key that the `+
			"pod's identity may use, also keys without an alias; list the aliases, or take the /attest routes away", "rule", rule)
	}
}

func callers(policy *access.Policy) string {
	if policy.Binds() {
		return "by the access section"
	}
	return "whoever reaches the listener"
}

// oneShot assembles the parts for a command that asks once and ends. What is
// wrong with optional parts concerns only commands that ask this machine: see tellMachine.
func oneShot(cmd *cobra.Command, env environment, io streams) (*settings, *sidecar, error) {
	s, _, err := load(cmd.Flags(), env)
	if err != nil {
		return nil, nil, err
	}
	if s.RequestTimeout <= s.FleetWindow { // it would end before its turn comes
		s.FleetWindow, s.FleetInTurn = 0, false
	}
	log, err := s.commandLog(io.err)
	if err != nil {
		return nil, nil, err
	}
	harden(log.Logger)
	parts, err := assemble(s, nil, log.Logger)
	return s, parts, s.origins.explain(err)
}

// baseURL is where a client on this machine finds the listener.
func baseURL(listen string) string {
	if strings.HasPrefix(listen, "unix:") {
		return listen
	}
	return "http://" + listen
}
