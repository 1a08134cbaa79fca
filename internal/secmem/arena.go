package secmem

import (
	"cmp"
	"slices"
	"sync"
)

const (
	// chunkSize is what a process without privileges may lock at least on most
	// systems: the default of RLIMIT_MEMLOCK was 64 KiB for decades.
	chunkSize = 64 << 10
	// maxLocked bounds the memory that is locked, which the kernel cannot take
	// back. It holds a thousand requests with their tokens and keys.
	maxLocked = 16 << 20
)

// Status says how secrets are kept.
type Status struct {
	// Protection of the memory for secrets; [None] if there was never any.
	Protection Protection
	// Locked is the bytes of memory that are mapped for secrets now.
	Locked int
	// OnHeap is the bytes of secrets, since the start, for which there was no
	// protected memory.
	OnHeap int
}

// Protect makes the first memory ready, and tells how secrets will be kept.
func Protect() Status {
	Hold([]byte{0}).Wipe()
	return Now()
}

// Now tells how secrets are kept.
func Now() Status {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	status := shared.status
	status.Protection = cmp.Or(status.Protection, None)
	return status
}

// shared is the arena of the process: what may be locked is limited for all of it.
var shared arena

// arena hands out blocks of protected memory. All of it that nobody holds is
// zero.
type arena struct {
	mu     sync.Mutex
	chunks []*chunk // of chunkSize bytes each, at most one of them idle
	status Status
}

// block is a secret's piece of a chunk, or of the heap if chunk is nil.
type block struct {
	memory []byte
	chunk  *chunk
	first  int // number of its first block
}

// alloc finds memory for a secret.
func (a *arena) alloc(size int) block {
	a.mu.Lock()
	defer a.mu.Unlock()
	if size > chunkSize {
		if c := a.grow(size); c != nil {
			return block{c.memory[:size:size], c, 0}
		}
		return a.fromHeap(size)
	}
	for _, c := range a.chunks {
		if first, found := c.alloc(size); found {
			return pieceOf(c, first, size)
		}
	}
	if c := a.grow(chunkSize); c != nil {
		a.chunks = append(a.chunks, c)
		first, _ := c.alloc(size)
		return pieceOf(c, first, size)
	}
	return a.fromHeap(size)
}

func pieceOf(c *chunk, first, size int) block {
	start := first * blockSize
	return block{c.memory[start : start+size : start+size], c, first}
}

func (a *arena) fromHeap(size int) block {
	a.status.OnHeap += size
	return block{memory: make([]byte, size)}
}

func (a *arena) grow(size int) *chunk {
	if a.status.Locked+size > maxLocked {
		return nil
	}
	memory, protection := protect(size)
	if memory == nil {
		return nil
	}
	a.status.Protection = protection
	a.status.Locked += len(memory)
	return &chunk{memory: memory}
}

// free overwrites a block and takes it back.
func (a *arena) free(b block) {
	clear(b.memory)
	if b.chunk == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if b.chunk.single() {
		a.shrink(b.chunk)
		return
	}
	b.chunk.free(b.first, len(b.memory))
	if b.chunk.idle() && a.hasOtherIdle(b.chunk) {
		a.shrink(b.chunk)
	}
}

func (a *arena) hasOtherIdle(c *chunk) bool {
	return slices.ContainsFunc(a.chunks, func(other *chunk) bool { return other != c && other.idle() })
}

func (a *arena) shrink(c *chunk) {
	a.chunks = slices.DeleteFunc(a.chunks, func(other *chunk) bool { return other == c })
	a.status.Locked -= len(c.memory)
	unprotect(c.memory)
}
