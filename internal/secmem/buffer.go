package secmem

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
)

// ErrWiped is what a [Buffer] says that was wiped.
var ErrWiped = errors.New("the secret was wiped")

// Buffer is a secret of fixed size in protected memory. The zero value and nil
// are wiped ones.
type Buffer struct {
	mu      sync.RWMutex
	secret  *secret         // nil once wiped
	cleanup runtime.Cleanup // for a Buffer that nobody wipes
}

// secret is shared by the Buffers that were cloned of one; it does not change.
type secret struct {
	place  block
	owners atomic.Int32

	once    sync.Once
	derived *Buffer // guarded by once
}

// leave overwrites the secret with its last owner.
func (s *secret) leave() {
	if s.owners.Add(-1) == 0 {
		shared.free(s.place)
		s.derived.Wipe()
	}
}

// Hold moves a secret to protected memory: the source is overwritten.
func Hold(text []byte) *Buffer {
	s := &secret{place: shared.alloc(len(text))}
	copy(s.place.memory, text)
	clear(text)
	return own(s)
}

func own(s *secret) *Buffer {
	s.owners.Add(1)
	b := &Buffer{secret: s}
	b.cleanup = runtime.AddCleanup(b, (*secret).leave, s)
	return b
}

// Use calls f with the secret, and is [ErrWiped] if there is none. f must not
// change the slice, nor keep it: after [Buffer.Wipe], which waits for f, its memory
// may be another secret's, or nobody's. f must not wipe the Buffer itself.
func (b *Buffer) Use(f func(secret []byte) error) error {
	if b == nil {
		return ErrWiped
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.secret == nil {
		return ErrWiped
	}
	return f(b.secret.place.memory)
}

// Clone is a Buffer of its own with the same secret; of a wiped one, a wiped one.
// The secret is not copied: it is overwritten when the last of its Buffers is wiped.
func (b *Buffer) Clone() *Buffer {
	if b == nil {
		return nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.secret == nil {
		return nil
	}
	return own(b.secret)
}

// Derived is a Buffer of its own with what derive makes of the secret, once for it
// and all its clones: it is kept beside the secret, and overwritten when neither a
// clone nor a Buffer that Derived returned is left. Of a wiped one it is a wiped one.
func (b *Buffer) Derived(derive func(secret []byte) []byte) (derived *Buffer) {
	_ = b.Use(func(text []byte) error {
		s := b.secret
		s.once.Do(func() { s.derived = Hold(derive(text)) })
		derived = s.derived.Clone()
		return nil
	})
	return derived
}

// Wipe takes the secret from the Buffer, and overwrites it unless a clone still
// has it. It may be called again.
func (b *Buffer) Wipe() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.secret == nil {
		return
	}
	b.cleanup.Stop()
	b.secret.leave()
	b.secret = nil
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
