package parties

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"skr/hsm"
	"skr/keyrelease"
)

// maxLapses bounds the key versions that are remembered. A pod uses a few.
const maxLapses = 1024

// Lapses logs a warning when the vault releases a key that has expired or is not valid yet,
// once for each version of a key.
func Lapses(next keyrelease.Vault, log *slog.Logger, now func() time.Time) keyrelease.Vault {
	return &lapses{next: next, log: log, now: now, warned: make(map[string]bool)}
}

type lapses struct {
	next keyrelease.Vault
	log  *slog.Logger
	now  func() time.Time

	mu     sync.Mutex
	warned map[string]bool // at most maxLapses identifiers with versions
}

func (l *lapses) Release(ctx context.Context, key hsm.KeyID, grant hsm.Grant) (*hsm.WrappedKey, error) {
	wrapped, err := l.next.Release(ctx, key, grant)
	if err != nil {
		return nil, err
	}
	if lapse := wrapped.Validity().Lapse(l.now()); lapse != "" && l.first(wrapped.ID()) {
		l.log.WarnContext(ctx, "the vault releases a key that "+lapse+"; rotate the key, or disable this version to stop its release",
			"key", wrapped.ID())
	}
	return wrapped, nil
}

func (l *lapses) first(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.warned[id] || len(l.warned) == maxLapses {
		return false
	}
	l.warned[id] = true
	return true
}
