package secmem

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
)

// ErrWiped is what a [Buffer] says that was wiped.
var ErrWiped = errors.New("secmem: the secret was wiped")

// Buffer is a secret of fixed size in protected memory. The zero value and nil
// are wiped ones.
type Buffer struct {
	mu      sync.RWMutex
	place   block           // zero once wiped
	cleanup runtime.Cleanup // for a Buffer that nobody wipes
	held    bool
}

// Hold moves a secret to protected memory: the source is overwritten.
func Hold(secret []byte) *Buffer {
	b := &Buffer{place: shared.take(len(secret)), held: true}
	copy(b.place.memory, secret)
	clear(secret)
	b.cleanup = runtime.AddCleanup(b, shared.give, b.place)
	return b
}

// Use calls f with the secret, and is [ErrWiped] if there is none. f must not
// keep the slice: after [Buffer.Wipe], which waits for f, its memory may be
// another secret's, or nobody's. f must not wipe the Buffer itself.
func (b *Buffer) Use(f func(secret []byte) error) error {
	if b == nil {
		return ErrWiped
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if !b.held {
		return ErrWiped
	}
	return f(b.place.memory)
}

// Clone is a Buffer of its own with the same secret; of a wiped one, a wiped one.
func (b *Buffer) Clone() (clone *Buffer) {
	_ = b.Use(func(secret []byte) error { clone = Hold(bytes.Clone(secret)); return nil })
	return clone
}

// Wipe overwrites the secret and gives its memory back. It may be called again.
func (b *Buffer) Wipe() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.held {
		return
	}
	b.cleanup.Stop()
	shared.give(b.place)
	b.place, b.held = block{}, false
}

// String redacts.
func (b *Buffer) String() string { return redacted }

// GoString redacts the %#v form.
func (b *Buffer) GoString() string { return redacted }

// Format redacts every verb.
func (b *Buffer) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redacted)) }

// LogValue redacts in log/slog.
func (b *Buffer) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts.
func (b *Buffer) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }
