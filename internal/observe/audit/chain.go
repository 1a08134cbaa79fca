package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// noHead is the prev of the first record.
var noHead = strings.Repeat("0", 2*sha256.Size)

// maxTorn limits the bytes between two records. A torn line is shorter than maxRecord, and the repair may
// be torn as well, a few times.
const maxTorn = 48 << 10

// chain is the state after a record, which the next record must continue.
type chain struct {
	seq  uint64
	head string // hash of the last record; noHead before the first
	// torn is the text after the last record, without the newline of the record.
	torn []byte
	// unended is true if the last record lacks its newline.
	unended bool
	// joined is true while reading from the middle of a chain, until the first record. That
	// record and the text before it are not checked.
	joined bool
}

func newChain() chain { return chain{head: noHead} }

// follow adds the next line, without its newline. It returns nil for a torn line.
func (c *chain) follow(line []byte) (*Record, error) {
	r, err := decode(line)
	switch {
	case c.joined && err != nil:
		return nil, nil //nolint:nilerr // part of a line whose beginning was not read
	case errors.Is(err, errFragment):
		return nil, c.tear(line)
	case err != nil:
		return nil, err
	case !c.joined:
		err = c.fits(r)
	}
	if err != nil {
		return nil, err
	}
	c.advance(r)
	return r, nil
}

// tear adds a torn line, which a later record must describe.
func (c *chain) tear(line []byte) error {
	c.torn = append(append(c.torn, line...), '\n')
	if len(c.torn) > maxTorn {
		return fmt.Errorf("%w within %d bytes", errFragment, maxTorn)
	}
	return nil
}

func (c *chain) fits(r *Record) error {
	switch {
	case !c.describedBy(r.Torn):
		if len(c.torn) > 0 {
			return errFragment
		}
		return errors.New("describes a torn line that does not exist")
	case r.Seq != c.seq+1:
		return fmt.Errorf("has seq %d instead of %d: a record was removed, added or moved", r.Seq, c.seq+1)
	case r.Prev != c.head:
		return errors.New("does not continue the previous record, which was changed or replaced")
	case r.Seq == 1 && (r.Kind == kindRelease || r.Kind == kindWithheld):
		return errors.New("is the first record, but not of kind opened or recovered")
	}
	return nil
}

// describedBy reports whether t describes the torn text. Without torn text, t is nil, or counts no bytes
// after a record that lacked only its newline.
func (c *chain) describedBy(t *Torn) bool {
	switch {
	case t == nil:
		return len(c.torn) == 0
	case len(c.torn) == 0:
		return *t == describe(nil)
	}
	return *t == describe(c.torn[:len(c.torn)-1]) // the last newline came with the record
}

func describe(torn []byte) Torn {
	sum := sha256.Sum256(torn)
	return Torn{len(torn), hex.EncodeToString(sum[:])}
}

// end adds the text after the last newline.
func (c *chain) end(rest []byte) error {
	if len(rest) == 0 {
		return nil
	}
	_, err := c.follow(rest)
	c.unended = true
	if len(c.torn) > 0 {
		c.torn = c.torn[:len(c.torn)-1] // tear added a newline
	}
	return err
}

func (c *chain) isTorn() bool { return c.unended || len(c.torn) > 0 }

func (c *chain) describeTorn() *Torn {
	t := describe(c.torn)
	return &t
}

// next completes r as the next record and returns its line. If r describes a torn line, a newline comes
// first to end that line.
func (c *chain) next(r *Record) ([]byte, error) {
	r.Seq, r.Prev = c.seq+1, c.head
	r.Time = time.Now().UTC().Format(timeLayout)
	line, err := r.encode()
	if err == nil && r.Torn != nil {
		line = append([]byte("\n"), line...)
	}
	return line, err
}

// advance makes r the last record.
func (c *chain) advance(r *Record) { *c = chain{seq: r.Seq, head: r.Hash} }
