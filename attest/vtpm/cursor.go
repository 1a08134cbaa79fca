package vtpm

import (
	"encoding/binary"
	"errors"
)

var errTruncated = errors.New("it ends too early")

// cursor reads a structure from the front. After the first read beyond the end, err is set
// and all reads return zeros.
type cursor struct {
	rest  []byte
	order binary.ByteOrder // big-endian for a TPM's structures, little-endian for firmware's
	err   error
}

// next returns the next n bytes without copying them.
func (c *cursor) next(n uint64) []byte {
	if c.err == nil && n > uint64(len(c.rest)) {
		c.err = errTruncated
	}
	if c.err != nil {
		return nil
	}
	taken := c.rest[:n:n]
	c.rest = c.rest[n:]
	return taken
}

// number returns the next n bytes, at most 8, as an unsigned number.
func (c *cursor) number(n uint64) uint64 {
	taken := c.next(n)
	switch len(taken) {
	case 1:
		return uint64(taken[0])
	case 2:
		return uint64(c.order.Uint16(taken))
	case 4:
		return uint64(c.order.Uint32(taken))
	case 8:
		return c.order.Uint64(taken)
	}
	return 0
}

func (c *cursor) u8() uint8   { return uint8(c.number(1)) }  // #nosec G115 -- it was one byte
func (c *cursor) u16() uint16 { return uint16(c.number(2)) } // #nosec G115 -- it was two bytes
func (c *cursor) u32() uint32 { return uint32(c.number(4)) } // #nosec G115 -- it was four bytes
func (c *cursor) u64() uint64 { return c.number(8) }

// sized returns the content of a TPM2B: two bytes of length, then as many bytes.
func (c *cursor) sized() []byte { return c.next(c.number(2)) }

// end returns the error of the reads, or an error if bytes are left.
func (c *cursor) end() error {
	if c.err == nil && len(c.rest) > 0 {
		return errors.New("there are bytes behind its end")
	}
	return c.err
}
