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

// ErrWiped means that the [Buffer] was wiped.
var ErrWiped = errors.New("the secret was wiped")

// Buffer is a secret of fixed size in protected memory. The zero value and nil behave like
// a wiped Buffer.
type Buffer struct {
	mu      sync.RWMutex
	secret  *secret         // nil once wiped
	cleanup runtime.Cleanup // for a Buffer that is not wiped
}

// secret is shared by a Buffer and its clones. It does not change.
type secret struct {
	place  block
	owners atomic.Int32

	once    sync.Once
	derived *Buffer // guarded by once

	attach    sync.Once
	attached  Attachment // guarded by attach
	attachErr error      // guarded by attach
}

// Attachment was made from a secret and must not outlive it.
type Attachment interface {
	// Erase overwrites the attachment. Uses that have begun end first, and later ones fail.
	Erase()
}

// leave removes an owner, and overwrites the secret with the last one.
func (s *secret) leave() {
	if s.owners.Add(-1) == 0 {
		shared.free(s.place)
		s.derived.Wipe()
		if s.attached != nil {
			s.attached.Erase()
		}
	}
}

// Hold moves a secret to protected memory and overwrites the source.
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

// Use calls f with the secret and returns its error, or [ErrWiped] if the Buffer was wiped.
// f must not change or keep the slice: after [Buffer.Wipe], which waits for f, the memory
// may contain another secret or be unmapped. f must not wipe the Buffer.
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

// Clone returns another Buffer with the same secret, or a wiped one if b was wiped. The
// secret is not copied. It is overwritten when the last of its Buffers is wiped.
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

// Derived returns a Buffer with the result of derive, which is called once for the secret
// and all its clones. The result is overwritten when all clones and all Buffers that Derived
// returned are wiped. If b was wiped, Derived returns a wiped Buffer.
func (b *Buffer) Derived(derive func(secret []byte) []byte) (derived *Buffer) {
	_ = b.Use(func(text []byte) error {
		s := b.secret
		s.once.Do(func() { s.derived = Hold(derive(text)) })
		derived = s.derived.Clone()
		return nil
	})
	return derived
}

// Attach returns the result of open, which is called once for the secret and all its clones.
// The attachment is erased with the secret: its users must keep a Buffer until they are done.
// If b was wiped, Attach returns [ErrWiped].
func (b *Buffer) Attach(open func(secret []byte) (Attachment, error)) (attached Attachment, err error) {
	err = b.Use(func(text []byte) error {
		s := b.secret
		s.attach.Do(func() { s.attached, s.attachErr = open(text) })
		attached = s.attached
		return s.attachErr
	})
	return attached, err
}

// Wipe removes the secret from the Buffer, and overwrites it unless a clone still has it. It
// may be called repeatedly.
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
