package sidecar

import (
	"context"
	"io/fs"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"skr/api"
	"skr/attest"
	"skr/internal/config"
	"skr/internal/keyuse"
	"skr/internal/observe/audit"
	"skr/internal/sbom"
	"skr/internal/sidecar/access"
	"skr/internal/sidecar/follow"
	"skr/internal/sidecar/limit"
	"skr/internal/sidecar/server"
	"skr/internal/sidecar/serving"
	"skr/internal/sidecar/sinks"
)

// Serve serves until ctx ends. The records of releases go to audit_file or, if it is not set, to the
// result of otherwise.
func Serve(ctx context.Context, s *config.Settings, env config.Environment, log *slog.Logger, otherwise func(version string) *audit.Log) error {
	started := tuneCollector(env, s.MaxConcurrent)
	observer := newObserver(ctx, env, log)
	defer observer.close(ctx, log)
	records, err := OpenAudit(s, otherwise)
	if err != nil {
		return err
	}
	defer closeAudit(records, log)
	parts, err := Assemble(s, observer, log)
	if err != nil {
		return err
	}
	parts.Faults.Add(Traces, observer.untraced)
	for _, warning := range s.Unused {
		log.Warn(warning)
	}
	s.WarnOfClouds(log)
	parts.warnOfAttesting(log)
	parts.warnOfResources(log)
	auditor := &Auditor{records, observer}
	files, err := parts.sinks(s, auditor, log)
	if err != nil {
		return err
	}
	service := &service{
		Parts: parts, auditor: auditor, files: files,
		follower: parts.follower(s, files.Aliases(), auditor, log),
		settings: s, observer: observer, records: records, log: log,
		ready:       newProof(parts, s.RequestTimeout, started, log),
		calls:       newCalls(env, log),
		gate:        limit.New(limit.Config{MaxConcurrent: s.MaxConcurrent, MaxQueued: s.MaxQueued, Rate: s.CallerRate}),
		connections: newConnections(s, serving.Descriptors(), log),
	}
	if err := service.run(ctx); err != nil {
		log.Error("stopped", "error", err.Error())
		return err
	}
	log.Info("stopped")
	return nil
}

// service is a sidecar with its background tasks.
type service struct {
	*Parts
	settings *config.Settings
	ready    *proof
	calls    *calls
	gate     *limit.Gate
	connections
	files    *sinks.Sinks // nil without sinks
	follower *follow.Follower
	auditor  *Auditor
	observer *observer
	records  *audit.Log
	log      *slog.Logger
}

// run opens the listeners and serves until ctx ends.
func (s *service) run(ctx context.Context) error {
	local, err := s.local()
	if err != nil {
		return err
	}
	s.observer.metrics.Watch(s.state(local))
	listeners, err := s.listen(ctx)
	if err != nil {
		return err
	}
	operations, err := s.listenOps(ctx)
	s.Faults.Add(opsListener, err)
	s.Faults.log(s.log)
	s.warnOfIssuer(s.log)
	s.log.Info("listening", "address", listeners.String(), "version", sbom.Version(), "callers", callers(s.access))
	s.Releaser.Prepare()
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return s.serve(running, listeners, local) })
	group.Go(func() error { return operations.serve(running) })
	group.Go(func() error { s.ready.await(running); return nil })
	group.Go(func() error { s.calls.watch(running); return nil })
	group.Go(func() error { s.prepareAuthorities(running); return nil })
	group.Go(func() error { s.follower.Run(running); return nil })
	group.Go(func() error { s.files.Run(running, s.follower); return nil })
	return group.Wait()
}

// prepareAuthorities fetches the signing keys of the authorities in aliases before the first release. An
// authority that is unreachable now is retried on first use.
func (s *service) prepareAuthorities(ctx context.Context) {
	done := map[attest.Authority]bool{}
	for name, request := range s.Aliases {
		for _, way := range request.Ways() {
			if done[way.Authority] || s.InVault(name) {
				continue
			}
			done[way.Authority] = true
			if err := s.verifier.Prepare(ctx, way.Authority); err != nil {
				s.log.Debug("cannot fetch the signing keys yet", "error", err.Error())
			}
		}
	}
}

// local returns the server for applications.
func (s *service) local() (*server.Server, error) {
	return server.New(server.Config{
		Evidence: s.Attester, Tokens: s.Releaser, Releases: s.Releaser, VaultKeys: vaultKeys{s.vaultKeys(s.settings)},
		Authorities: s.Names.Authorities, Vaults: s.Names.Vaults, Aliases: s.Aliases, Rights: s.rights,
		CoCo: s.coco, Access: s.access, Gate: s.gate, Connections: s.http, GRPCConnections: s.grpc,
		Auditor: s.auditor, Watch: s.follower, MaxWatchers: maxWatchers(s.http.Max()), Called: s.calls.called, Finished: s.observer.finished,
		LocalNames: server.LocalNames("/etc/hosts"),
		WrapKeys:   s.wrapKeys, WrapKeysErr: s.wrapKeysErr,
		Parts: s.parts(), Problems: func() []api.Problem { return told(s.problems()) }, UVMEndorsements: s.Context.ReferenceInfo(),
		Deadline: s.settings.RequestTimeout, Grace: s.settings.StopGrace, Logger: s.log, Now: time.Now,
	})
}

// socketMode lets all users connect if the access policy distinguishes callers.
func socketMode(policy *access.Policy) fs.FileMode {
	if policy.Binds() {
		return server.Everybody
	}
	return server.OwnerOnly
}

// warnOfAttesting warns of rules whose limit to aliases skr cannot enforce. If an alias keeps its
// key, the server lets no caller attest a key pair.
func (p *Parts) warnOfAttesting(log *slog.Logger) {
	for _, rights := range p.rights {
		if !rights.Permit(keyuse.Release) {
			return
		}
	}
	for _, rule := range p.access.Unguarded(server.AttestingRoutes()) {
		log.Warn(`this access rule has keys: ["*"], and its callers may attest: with a key pair of their own they can get every key that `+
			"the pod's identity may use, also keys without an alias; list the aliases, or remove the routes that attest", "rule", rule)
	}
}

func callers(policy *access.Policy) string {
	if policy.Binds() {
		return "by the access section"
	}
	return "any caller that can connect"
}
