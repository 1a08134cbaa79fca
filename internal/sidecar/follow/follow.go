// Package follow releases the keys of aliases again and again while something needs them, and
// tells which version each has now.
//
//	f := follow.New(follow.Config{Aliases: aliases, Held: ofSinks, Release: release, Every: 5 * time.Minute})
//	go f.Run(ctx)
//	version, err := f.Wait(ctx, "orders", known) // returns when the version differs from known
//
// An alias is asked for by one release at a time, however many callers wait. Nothing is asked
// while nothing waits, except for held aliases, whose keys stay in locked memory for
// [Follower.Key]. The times between releases are random within bounds, so that pods that started
// together do not ask together. After a failure they grow, and respect Retry-After. The package
// knows neither callers nor files.
package follow

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"skr/hsm"
	"skr/internal/refusal"
)

// Version is the version of a key that was released last.
type Version struct {
	// ID is the key identifier with its version.
	ID string
	// Version is the last part of ID.
	Version string
}

// Config of a Follower.
type Config struct {
	// Aliases may be waited for.
	Aliases []string
	// Held are the aliases whose keys are always followed and kept for [Follower.Key].
	Held []string
	// Release releases the key of an alias. The Follower wipes it.
	Release func(ctx context.Context, alias string) (*hsm.Key, error)
	// ReleaseVersion releases one version of it, for [Follower.At]. Nil if nothing calls that.
	ReleaseVersion func(ctx context.Context, alias, version string) (*hsm.Key, error)
	// Every is the longest time from one release to the next. It must be positive.
	Every time.Duration
	// Timeout of one release. Zero means one minute.
	Timeout time.Duration
	// Logger gets a warning when releases of an alias begin to fail; nil means none.
	Logger *slog.Logger
}

// Follower follows the keys of aliases. It is safe for concurrent use.
type Follower struct {
	config  Config
	aliases map[string]*followed
}

// New returns a Follower that asks for nothing before [Follower.Run].
func New(c Config) *Follower {
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	f := &Follower{config: c, aliases: make(map[string]*followed, len(c.Aliases))}
	for _, name := range c.Aliases {
		k := &followed{name: name, held: slices.Contains(c.Held, name), woken: make(chan struct{}, 1), changed: make(chan struct{})}
		if k.held {
			k.interest = 1
		}
		f.aliases[name] = k
	}
	return f
}

// Run asks for keys until ctx ends, and then wipes those that it holds.
func (f *Follower) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, k := range f.aliases {
		all.Go(func() {
			defer k.drop()
			f.follow(ctx, k)
		})
	}
	all.Wait()
}

// Wait returns the version of the alias's key as soon as it differs from known. If ctx ends
// before that, it returns the version that was seen last. It returns an error if no version is
// known and the last release failed.
func (f *Follower) Wait(ctx context.Context, alias, known string) (Version, error) {
	k := f.aliases[alias]
	if k == nil {
		return Version{}, refusal.Newf(refusal.BadRequest, "the configuration has no alias of this name")
	}
	k.enter()
	defer k.leave()
	for {
		now := k.state()
		switch {
		case now.current && now.seen.Version != known:
			return now.seen, nil
		case now.seen.Version == "" && now.err != nil:
			return Version{}, now.err
		case known == "" && now.err != nil:
			return now.seen, nil
		}
		select {
		case <-now.changed:
		case <-ctx.Done():
			return now.last(known)
		}
	}
}

// Saw records a key that was released for the alias by a request of a caller. So a caller never
// gets an older version from Wait than it has received.
func (f *Follower) Saw(alias string, key *hsm.Key) {
	if k := f.aliases[alias]; k != nil {
		k.saw(key)
	}
}

// Key returns a copy of the key of a held alias, for the caller to wipe. If it was never released,
// Key returns the error of the last attempt, and nil if there was none.
func (f *Follower) Key(alias string) (*hsm.Key, error) {
	k := f.aliases[alias]
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key != nil {
		return k.key.Clone(), nil
	}
	return nil, k.err
}

// At releases one version of the alias's key, for the caller to wipe.
func (f *Follower) At(ctx context.Context, alias, version string) (*hsm.Key, error) {
	ctx, cancel := context.WithTimeout(ctx, f.config.Timeout)
	defer cancel()
	return f.config.ReleaseVersion(ctx, alias, version)
}

// Err returns why the last release of the alias failed, or nil.
func (f *Follower) Err(alias string) error { return f.aliases[alias].state().err }

// Subscribe returns a channel that gets a value after each release of the aliases that brought
// something new: another version, a failure, or the end of one.
func (f *Follower) Subscribe(aliases []string) <-chan struct{} {
	news := make(chan struct{}, 1)
	for _, name := range aliases {
		k := f.aliases[name]
		k.mu.Lock()
		k.subscribers = append(k.subscribers, news)
		k.mu.Unlock()
	}
	return news
}
