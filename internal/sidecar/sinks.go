package sidecar

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"skr/hsm"
	"skr/internal/config"
	"skr/internal/keyuse"
	"skr/internal/observe/journal"
	"skr/internal/sidecar/access"
	"skr/internal/sidecar/doctor"
	"skr/internal/sidecar/follow"
	"skr/internal/sidecar/server"
	"skr/internal/sidecar/sinks"
	"skr/keyrelease"
)

// CheckSinks returns an error if a sink of the settings cannot be one.
func (p *Parts) CheckSinks(s *config.Settings) error {
	_, err := sinks.New(sinks.Config{Specs: specs(s.Sinks.Value), Known: p.isAlias, May: p.maySink})
	return sinkError(err)
}

func sinkError(err error) error {
	if err == nil {
		return nil
	}
	return config.WrongSetting(fmt.Errorf("sinks: %w", err))
}

// sinks returns the sinks of the settings.
func (p *Parts) sinks(s *config.Settings, auditor *Auditor, log *slog.Logger) (*sinks.Sinks, error) {
	all, err := sinks.New(sinks.Config{
		Specs: specs(s.Sinks.Value), Known: p.isAlias, May: p.maySink, Record: p.recordSink(auditor),
		Done: func(result sinks.Result) { auditor.observer.wrote(string(result)) }, Logger: log,
	})
	return all, sinkError(err)
}

func specs(section []config.Sink) []sinks.Spec {
	all := make([]sinks.Spec, len(section))
	for i, c := range section {
		all[i] = sinks.Spec{
			Path: c.Path, Aliases: c.Alias, Format: c.Format, Envelopes: c.Envelope, Template: c.Template,
			Mode: c.Mode, Owner: c.Owner, AllowDisk: c.AllowDisk, Remove: c.Keep != nil && !*c.Keep,
			Exec: c.Exec, Signal: c.Signal, PIDFile: c.PIDFile,
		}
	}
	return all
}

func (p *Parts) isAlias(name string) error {
	if _, found := p.Aliases[name]; !found {
		return fmt.Errorf("alias: %.80q is none of the keys in the configuration", name)
	}
	return nil
}

// maySink returns an error if the ops of the alias do not permit what the sink does. A right
// to decrypt, to unwrap or to the key itself is a right to what the key opens.
func (p *Parts) maySink(alias string, right sinks.Right) error {
	rights := p.rights[alias]
	switch {
	case rights.InVault():
		return fmt.Errorf("alias: the key of %q stays in its vault (in_vault); a sink needs a key that is released", alias)
	case rights.Permit(keyuse.Release):
		return nil
	case right == sinks.Open && (rights.Permit(keyuse.Decrypt) || rights.Permit(keyuse.UnwrapKey)):
		return nil
	case right == sinks.Open:
		return fmt.Errorf(`alias: the ops of %q permit to open no envelope; add "decrypt" to them`, alias)
	}
	return fmt.Errorf(`alias: the key of %q stays in the sidecar; add "release" to its ops, or remove the sink`, alias)
}

// recordSink returns the function that records what a sink writes.
func (p *Parts) recordSink(auditor *Auditor) func(context.Context, string, string, sinks.Right, *hsm.Key) error {
	return func(ctx context.Context, path, alias string, right sinks.Right, key *hsm.Key) error {
		ctx, _ = journal.With(access.With(ctx, access.File(path)), rand.Text())
		if right == sinks.Open {
			use := server.Use{Request: p.Aliases[alias], Operation: keyuse.Decrypt, Count: 1, Key: key.ID(), PolicyHash: key.PolicyHash()}
			return auditor.Used(ctx, use, nil)
		}
		return auditor.Released(ctx, p.Aliases[alias], key, nil)
	}
}

// follower returns what follows the keys of the sinks, and of the aliases that callers watch.
func (p *Parts) follower(s *config.Settings, held []string, auditor *Auditor, log *slog.Logger) *follow.Follower {
	return follow.New(follow.Config{
		Aliases: slices.Collect(maps.Keys(p.Aliases)), Held: held, Every: lookEvery(s), Timeout: s.RequestTimeout, Logger: log,
		Release: func(ctx context.Context, alias string) (*hsm.Key, error) {
			return p.releaseAlias(ctx, auditor, alias, "")
		},
		ReleaseVersion: func(ctx context.Context, alias, version string) (*hsm.Key, error) {
			return p.releaseAlias(ctx, auditor, alias, version)
		},
	})
}

// releaseAlias releases the key of an alias for skr itself. It records refusals. The record of a
// success comes with its use.
func (p *Parts) releaseAlias(ctx context.Context, auditor *Auditor, alias, version string) (*hsm.Key, error) {
	ctx = access.With(ctx, access.Self())
	request, err := p.Aliases[alias].At(version)
	if err != nil {
		return nil, err
	}
	key, request, err := keyrelease.Anywhere(ctx, p.Releaser, request)
	if err != nil && ctx.Err() == nil {
		ctx, _ = journal.With(ctx, rand.Text())
		_ = auditor.Released(ctx, request, nil, err) // there is no key to keep back
	}
	return key, err
}

const (
	mostLook  = 30 * time.Second
	leastLook = 100 * time.Millisecond
)

// lookEvery returns how often keys are asked for. Kept keys are renewed in their own time, and asking
// for them costs microseconds: that is done often, so that what was renewed is seen.
func lookEvery(s *config.Settings) time.Duration {
	if s.KeyCacheTTL == 0 {
		return s.KeyRefresh
	}
	const part = 20
	return max(min(s.KeyCacheTTL/part, mostLook), leastLook)
}

// maxWatchers keeps most of the connections for other requests.
func maxWatchers(connections int) int {
	const part = 4
	return max(min(server.MaxWatchers, connections/part), 2)
}

const (
	sinkPart = "sink " // before the path, in the names of parts
	sinkFix  = "see the log of skr; until then the application has the file that was written last"
)

// sinkProblems returns the sinks that are not up to date.
func sinkProblems(all *sinks.Sinks) (problems []doctor.Problem) {
	for _, p := range all.Problems() {
		problems = append(problems, doctor.Problem{Part: sinkPart + p.Path, Reason: p.Reason, Fix: sinkFix})
	}
	return problems
}
