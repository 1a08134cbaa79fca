// Package sinks keeps files up to date: keys in the forms that applications read, secrets from
// sealed envelopes, and configuration files from templates.
//
//	s, err := sinks.New(sinks.Config{Specs: specs, May: rights, …}) // an error is a wrong configuration
//	s.Run(ctx, follower)                                             // until ctx ends
//	err = s.Err()                                                    // nil once each file was written
//
// A sink is rendered when it starts, when a key that it uses has another version, and when its
// template or envelope changes. The file is replaced as a whole, in memory (tmpfs) unless the
// configuration allows a disk, and then the application is notified by a command or a signal. If
// anything fails, the old file stays, and the sink tries again. The package releases no keys: a
// follower has them.
package sinks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"skr/hsm"
	"skr/internal/refusal"
)

// Keys has the keys of aliases. [skr/internal/sidecar/follow.Follower] implements it.
type Keys interface {
	// Key returns a copy of the key, for the caller to wipe. Both results are nil if the vault was
	// not asked yet.
	Key(alias string) (*hsm.Key, error)
	// At releases one version of the key, for the caller to wipe.
	At(ctx context.Context, alias, version string) (*hsm.Key, error)
	// Err returns why the last release of the alias failed, or nil.
	Err(alias string) error
	// Subscribe returns a channel that gets a value when there is something new about an alias.
	Subscribe(aliases []string) <-chan struct{}
}

// Right is what a sink does with a key.
type Right int

// The rights.
const (
	Give Right = iota // write the key itself
	Open              // open envelopes with it
)

// Config of sinks.
type Config struct {
	// Specs are the entries of the configuration.
	Specs []Spec
	// Known returns an error if there is no such alias.
	Known func(alias string) error
	// May returns an error if the alias does not permit the right.
	May func(alias string, right Right) error
	// Record is called before a key, or what it opened, is written for the first time, and with
	// each new version. If it returns an error, nothing is written.
	Record func(ctx context.Context, path, alias string, right Right, key *hsm.Key) error
	// Done is called after each attempt to write a file or to notify; nil disables it.
	Done func(Result)
	// Logger gets a line for each file that is written, and for each failure.
	Logger *slog.Logger
}

// Result of an attempt.
type Result string

// The results.
const (
	Written     Result = "written"
	Failed      Result = "failed"        // the old file stays
	NotNotified Result = "notify_failed" // the file was written
)

// Sinks are files that are kept up to date. A nil Sinks has none.
type Sinks struct {
	config Config
	all    []*sink
}

// New checks the entries against the aliases and the file system. It reads templates and envelopes
// and writes nothing. A nil Sinks is returned if there are no entries.
func New(c Config) (*Sinks, error) {
	if len(c.Specs) == 0 {
		return nil, nil //nolint:nilnil // the nil Sinks is a good one
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Done == nil {
		c.Done = func(Result) {}
	}
	s := &Sinks{config: c}
	seen := map[string]int{}
	for i, spec := range c.Specs {
		one, err := c.newSink(spec)
		if err != nil {
			return nil, fmt.Errorf("entry %d (%.200s): %w", i+1, spec.Path, err)
		}
		if other := seen[one.place.resolved]; other > 0 {
			return nil, fmt.Errorf("entry %d (%s): entry %d writes the same file", i+1, spec.Path, other)
		}
		seen[one.place.resolved] = i + 1
		s.all = append(s.all, one)
	}
	return s, nil
}

// Aliases returns the aliases that the sinks use.
func (s *Sinks) Aliases() (names []string) {
	if s == nil {
		return nil
	}
	seen := map[string]bool{}
	for _, one := range s.all {
		for _, alias := range one.spec.Aliases {
			if !seen[alias] {
				names, seen[alias] = append(names, alias), true
			}
		}
	}
	return names
}

// Run keeps the files up to date until ctx ends. It then removes those that are not kept.
func (s *Sinks) Run(ctx context.Context, keys Keys) {
	if s == nil {
		return
	}
	var all sync.WaitGroup
	for _, one := range s.all {
		all.Go(func() { one.run(ctx, keys) })
	}
	all.Wait()
}

// Err returns a refusal with the reason of the first sink that was not written since the start, or
// nil. A sink that fails later is a problem: the application has its file.
func (s *Sinks) Err() error {
	if s == nil {
		return nil
	}
	for _, one := range s.all {
		if written, err := one.state(); !written {
			return notWritten(one.spec.Path, err)
		}
	}
	return nil
}

// Problem is a sink whose last attempt failed.
type Problem struct{ Path, Reason string }

// Problems returns the sinks whose last attempt failed.
func (s *Sinks) Problems() (problems []Problem) {
	if s == nil {
		return nil
	}
	for _, one := range s.all {
		if _, err := one.state(); err != nil {
			problems = append(problems, Problem{one.spec.Path, public(err)})
		}
	}
	return problems
}

// Len returns how many sinks there are.
func (s *Sinks) Len() int {
	if s == nil {
		return 0
	}
	return len(s.all)
}

var errNotYet = refusal.Newf(refusal.Unavailable, "skr is starting")

// public returns the sentence of a refusal. The other errors of this package are about files and
// programs that the configuration names, and hold no secret.
func public(err error) string {
	if refused, ok := errors.AsType[*refusal.Error](err); ok {
		return refused.Public()
	}
	return err.Error()
}

// notWritten returns the refusal of a sink that was not written yet.
func notWritten(path string, err error) error {
	kind, why := refusal.Unavailable, err.Error()
	if refused, ok := errors.AsType[*refusal.Error](err); ok {
		kind, why = refused.Kind, refused.Reason
	}
	return &refusal.Error{Kind: kind, Reason: "the sink " + path + " was not written yet: " + why, Err: err}
}
