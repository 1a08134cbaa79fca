package secmem

import "bytes"

// blockSize is the unit of allocation in bytes. An RSA-2048 key needs four blocks, an access
// token five to ten, an EC key one.
const blockSize = 512

const blocks = chunkSize / blockSize

// free is a chunk without used blocks.
var free [blocks]byte

// chunk is one mapping of protected memory. A chunk of chunkSize bytes is divided into
// blocks. A larger one contains one secret.
type chunk struct {
	memory []byte
	used   [blocks]byte // 1 for each used block
}

// alloc finds the first run of free blocks that is long enough for size bytes.
func (c *chunk) alloc(size int) (first int, found bool) {
	count := count(size)
	first = bytes.Index(c.used[:], free[:count])
	if first < 0 {
		return 0, false
	}
	c.mark(first, count, 1)
	return first, true
}

func (c *chunk) free(first, size int) { c.mark(first, count(size), 0) }

func (c *chunk) mark(first, count int, as byte) {
	for i := range count {
		c.used[first+i] = as
	}
}

func (c *chunk) idle() bool { return c.used == free }

// single reports whether the chunk contains only one secret.
func (c *chunk) single() bool { return len(c.memory) != chunkSize }

// count returns the number of blocks for size bytes, at least one.
func count(size int) int { return max(1, (size+blockSize-1)/blockSize) }
