package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"skr/hsm"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/handover"
	"skr/internal/keyuse"
	"skr/internal/sidecar"
	"skr/internal/sidecar/follow"
	"skr/keyrelease"
)

// execKeys releases the keys of skr exec. Each release is recorded.
type execKeys struct {
	releaser sidecar.AuditedReleaser
	auditor  *commandAuditor
	requests map[string]keyrelease.Request // by alias

	mu     sync.Mutex
	newest map[string]*hsm.Key // by alias, in the version that it gives
}

// openExecKeys returns an error if an alias does not exist, or keeps its key.
func openExecKeys(o execOptions, items []handover.Item, s *config.Settings, parts *sidecar.Parts, streams cli.Streams) (*execKeys, error) {
	access, err := cli.ReadToken(o.named.accessTokenFile, nil)
	if err != nil {
		return nil, err
	}
	requests := map[string]keyrelease.Request{}
	for _, item := range items {
		request, err := o.request(item.Alias, parts)
		if err != nil {
			return nil, err
		}
		if err := permits(parts, item, request); err != nil {
			return nil, err
		}
		request.Access = access
		requests[item.Alias] = request
	}
	parts.WarnOfMachine()
	auditor, err := openAuditor(s, streams.Err)
	if err != nil {
		return nil, err
	}
	releaser := sidecar.AuditedReleaser{Releaser: parts.Releaser, Auditor: auditor.Auditor}
	return &execKeys{releaser: releaser, auditor: auditor, requests: requests, newest: map[string]*hsm.Key{}}, nil
}

func (o execOptions) request(alias string, parts *sidecar.Parts) (keyrelease.Request, error) {
	if alias == "" {
		return parts.Parse(config.Alias{Vault: o.named.vault, Key: o.named.key, Authority: o.named.authority})
	}
	request, found := parts.Aliases[alias]
	if !found {
		return request, cli.BadUsage(fmt.Errorf("the section keys of the configuration has no alias %.80q", alias))
	}
	return request, nil
}

// permits returns an error unless the program may have the key, or what the key opens.
func permits(parts *sidecar.Parts, item handover.Item, request keyrelease.Request) error {
	refused := parts.May(keyuse.Release, item.Alias, request)
	if refused == nil || item.Envelope == "" {
		return refused
	}
	if parts.May(keyuse.Decrypt, item.Alias, request) == nil {
		return nil
	}
	return parts.May(keyuse.UnwrapKey, item.Alias, request)
}

// Key implements [handover.Keys].
func (k *execKeys) Key(ctx context.Context, alias, version string) (*hsm.Key, error) {
	newest, err := k.given(ctx, alias, version)
	if newest != nil || err != nil {
		return newest, err
	}
	request, err := k.requests[alias].At(version)
	if err != nil {
		return nil, err
	}
	return k.release(ctx, request)
}

// Name implements [handover.Keys].
func (k *execKeys) Name(alias string) string { return k.requests[alias].Key.Name() }

// given returns the key in the version that the alias gives. It is nil if another version is
// wanted.
func (k *execKeys) given(ctx context.Context, alias, version string) (*hsm.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := k.newest[alias]
	if key == nil && version == "" {
		var err error
		if key, err = k.release(ctx, k.requests[alias]); err != nil {
			return nil, err
		}
		k.newest[alias] = key
	}
	if key == nil || version != "" && key.Version() != version {
		return nil, nil //nolint:nilnil // the caller releases that version
	}
	return key.Clone(), nil
}

func (k *execKeys) release(ctx context.Context, request keyrelease.Request) (*hsm.Key, error) {
	return retryThrottled(ctx, func() (*hsm.Key, error) { return k.releaser.Release(ctx, request) })
}

// aliases returns the aliases whose version is not fixed by an envelope.
func (k *execKeys) aliases() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.newest))
}

// renew replaces the keys with those of the follower. It reports whether one is another.
func (k *execKeys) renew(f *follow.Follower) (changed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for alias, before := range k.newest {
		key, err := f.Key(alias)
		if err != nil || key == nil { // it was not released yet, which the follower logs
			continue
		}
		changed = changed || key.ID() != before.ID()
		before.Wipe()
		k.newest[alias] = key
	}
	return changed
}

// again returns the release of a follower. It begins with the keys that were released.
func (k *execKeys) again() func(ctx context.Context, alias string) (*hsm.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	first := map[string]*hsm.Key{}
	for alias, key := range k.newest {
		first[alias] = key.Clone()
	}
	var mu sync.Mutex
	return func(ctx context.Context, alias string) (*hsm.Key, error) {
		mu.Lock()
		key := first[alias]
		delete(first, alias)
		mu.Unlock()
		if key != nil {
			return key, nil
		}
		return k.releaser.Release(ctx, k.requests[alias])
	}
}

// wipe overwrites the keys, which are not needed again.
func (k *execKeys) wipe() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range k.newest {
		key.Wipe()
	}
	clear(k.newest)
}

func (k *execKeys) close() error {
	k.wipe()
	return k.auditor.close()
}

var _ handover.Keys = (*execKeys)(nil)
