package secmem

import (
	"cmp"
	"slices"
	"sync"
)

const (
	// chunkSize is what an unprivileged process may lock on most systems: the
	// default of RLIMIT_MEMLOCK was 64 KiB for decades.
	chunkSize = 64 << 10
	// maxLocked bounds the locked memory, which the kernel cannot reclaim. It is
	// enough for a thousand requests with their tokens and keys.
	maxLocked = 16 << 20
)

// Status says how secrets are kept.
type Status struct {
	// Protection is how the memory for secrets is protected; [None] before the first
	// secret.
	Protection Protection
	// Locked is the number of bytes that are mapped for secrets now.
	Locked int
	// OnHeap is the number of bytes of secrets, since the start, for which there was
	// no protected memory.
	OnHeap int
}

// Protect allocates the first protected memory, and returns how secrets are kept.
func Protect() Status {
	Hold([]byte{0}).Wipe()
	return Now()
}

// Now returns how secrets are kept.
func Now() Status {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	status := shared.status
	status.Protection = cmp.Or(status.Protection, None)
	return status
}

// shared is the only arena, because the limit of locked memory is per process.
var shared arena

// arena allocates blocks of protected memory. Free memory is zero.
type arena struct {
	mu     sync.Mutex
	chunks []*chunk // of chunkSize bytes each, at most one of them idle
	status Status
}

// block is the memory of one secret, in a chunk or on the heap if chunk is nil.
type block struct {
	memory []byte
	chunk  *chunk
	first  int // number of its first block
}

// alloc returns memory for a secret.
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

// free overwrites a block and makes it available again.
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
