package secmem

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func valueOf(b *Buffer) (value string, err error) {
	err = b.Use(func(secret []byte) error { value = string(secret); return nil })
	return value, err
}

func TestBuffer(t *testing.T) {
	for _, size := range []int{0, 1, blockSize, blockSize + 1, chunkSize, chunkSize + 1} {
		source := bytes.Repeat([]byte{'x'}, size)
		want := string(source)
		b := Hold(source)
		if got, err := valueOf(b); err != nil || got != want {
			t.Errorf("%d bytes: %d are held, %v", size, len(got), err)
		}
		if bytes.Contains(source, []byte{'x'}) {
			t.Errorf("%d bytes: the source was not overwritten", size)
		}
		clone := b.Clone()
		b.Wipe()
		b.Wipe()
		if _, err := valueOf(b); !errors.Is(err, ErrWiped) {
			t.Errorf("%d bytes: used after it was wiped: %v", size, err)
		}
		if got, err := valueOf(clone); err != nil || got != want {
			t.Errorf("%d bytes: the clone holds %d, %v", size, len(got), err)
		}
		if _, err := valueOf(b.Clone()); !errors.Is(err, ErrWiped) {
			t.Errorf("%d bytes: the clone of a wiped secret: %v", size, err)
		}
		clone.Wipe()
	}
	var none *Buffer
	none.Wipe()
	new(Buffer).Wipe()
	if _, err := valueOf(none); !errors.Is(err, ErrWiped) {
		t.Errorf("a nil Buffer has a secret: %v", err)
	}
}

// Clones share one secret in memory. The last of them overwrites it together with its
// derived values.
func TestClonesShareTheSecret(t *testing.T) {
	anchor := Hold([]byte(canary)) // keeps the memory mapped
	defer anchor.Wipe()
	b := Hold([]byte(canary))
	made := 0
	derive := func(secret []byte) []byte { made++; return append([]byte("of "), secret...) }
	memory, derived := b.secret.place.memory, b.Derived(derive)
	clone := b.Clone()
	again := clone.Derived(derive)
	if got, err := valueOf(again); err != nil || got != "of "+canary || made != 1 {
		t.Errorf("derived %d times: %q, %v", made, got, err)
	}
	derivedMemory := derived.secret.place.memory
	for _, one := range []*Buffer{b, derived, again} {
		if one.Wipe(); string(memory) != canary || string(derivedMemory) != "of "+canary {
			t.Error("the secret was wiped while a clone remains")
		}
	}
	clone.Wipe()
	if !bytes.Equal(memory, make([]byte, len(memory))) || !bytes.Equal(derivedMemory, make([]byte, len(derivedMemory))) {
		t.Error("the last clone left the secret in memory")
	}
	if _, err := valueOf(clone.Derived(derive)); !errors.Is(err, ErrWiped) {
		t.Errorf("derived from a wiped secret: %v", err)
	}
}

func TestUseReturnsTheError(t *testing.T) {
	b := Hold([]byte(canary))
	defer b.Wipe()
	want := errors.New("no")
	if err := b.Use(func([]byte) error { return want }); !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}

func TestBufferRedactsEverywhere(t *testing.T) {
	b := Hold([]byte(canary))
	defer b.Wipe()
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "secret", b, "in", struct{ Secret *Buffer }{b})
	encoded, err := json.Marshal(map[string]any{"a": b})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%v %+v %#v %s %q %x %d", b, b, b, b, b, b, b) + log.String() + string(encoded) + b.String() + b.GoString()
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), strings.Trim(fmt.Sprintf("%d", []byte(canary)), "[]")} {
		if strings.Contains(text, form) {
			t.Errorf("prints %q", text)
		}
	}
}

func TestUnreachableBufferIsWiped(t *testing.T) {
	anchor := Hold([]byte(canary)) // keeps the memory mapped
	defer anchor.Wipe()
	memory := Hold([]byte(canary)).secret.place.memory
	done := make(chan struct{})
	for range 100 {
		// Cleanups run in goroutines of the runtime. Another cleanup signals when they run.
		runtime.AddCleanup(new([64]byte), func(done chan struct{}) { done <- struct{}{} }, done)
		runtime.GC()
		if <-done; string(memory) != canary {
			break
		}
	}
	if !bytes.Equal(memory, make([]byte, len(canary))) {
		t.Error("the secret remains in memory")
	}
}

// TestConcurrentUseAndWipe checks that each use sees the whole secret or that it was wiped.
func TestConcurrentUseAndWipe(t *testing.T) {
	var all sync.WaitGroup
	for i := range 8 {
		want := strings.Repeat(string(rune('a'+i)), 200*i+1)
		all.Go(func() {
			for range 200 {
				b := Hold([]byte(want))
				var users sync.WaitGroup
				for range 2 {
					users.Go(func() {
						if got, err := valueOf(b); got != want && !errors.Is(err, ErrWiped) {
							t.Errorf("a secret of %d bytes changed: %v", len(want), err)
						}
					})
				}
				users.Go(b.Wipe)
				users.Wait()
			}
		})
	}
	all.Wait()
}

// BenchmarkHold compares Hold with the same allocation on the heap.
func BenchmarkHold(b *testing.B) {
	secret := make([]byte, 2<<10)
	b.Run("Buffer", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Hold(secret).Wipe()
		}
	})
	b.Run("heap", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			held := bytes.Clone(secret)
			clear(secret)
			clear(held)
		}
	})
}

// attachment records when it is erased.
type attachment struct{ erased bool }

func (a *attachment) Erase() { a.erased = true }

// TestAttachment checks that an attachment is made once for all clones and erased with the last.
func TestAttachment(t *testing.T) {
	made := 0
	open := func(secret []byte) (Attachment, error) {
		made++
		if string(secret) != canary {
			return nil, errors.New("another secret")
		}
		return new(attachment), nil
	}
	first := Hold([]byte(canary))
	second := first.Clone()
	one, err := first.Attach(open)
	if err != nil {
		t.Fatal(err)
	}
	if two, err := second.Attach(open); err != nil || two != one || made != 1 {
		t.Errorf("made %d times, %v", made, err)
	}
	first.Wipe()
	if a, _ := one.(*attachment); a.erased {
		t.Error("erased while a clone is left")
	}
	second.Wipe()
	if a, _ := one.(*attachment); !a.erased {
		t.Error("not erased with the last clone")
	}
	if _, err := second.Attach(open); !errors.Is(err, ErrWiped) {
		t.Errorf("attached to a wiped secret: %v", err)
	}
	other := Hold([]byte("other"))
	defer other.Wipe()
	if _, err := other.Attach(open); err == nil || err.Error() != "another secret" {
		t.Errorf("the error is %v", err)
	}
}
