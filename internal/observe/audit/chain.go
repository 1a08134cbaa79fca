package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// noHead is what the first record has for prev.
var noHead = strings.Repeat("0", 2*sha256.Size)

// maxTorn bounds what may stand between two records. A torn line is shorter than
// maxRecord, and mending it may be torn as well, a few times.
const maxTorn = 48 << 10

// chain is the state behind a record, which the next one must fit.
type chain struct {
	seq  uint64
	head string // hash of the last record; noHead before the first
	// torn is what stands behind the last record and is none, with all newlines
	// but the last record's own.
	torn []byte
	// unended: the last record lacks its newline.
	unended bool
	// joined: the chain is read from its middle, so the first record is taken
	// as it is, and what stands before it is not judged.
	joined bool
}

func newChain() chain { return chain{head: noHead} }

// follow reads the next line, without its newline. It returns nil for a torn one.
func (c *chain) follow(line []byte) (*Record, error) {
	r, err := decode(line)
	switch {
	case c.joined && err != nil:
		return nil, nil //nolint:nilerr // half of a line that was joined to another
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

// tear notes a line that must be described by a record to come.
func (c *chain) tear(line []byte) error {
	c.torn = append(append(c.torn, line...), '\n')
	if len(c.torn) > maxTorn {
		return fmt.Errorf("%w, nor do %d bytes behind it", errFragment, maxTorn)
	}
	return nil
}

func (c *chain) fits(r *Record) error {
	switch {
	case !c.describedBy(r.Torn):
		if len(c.torn) > 0 {
			return errFragment
		}
		return errors.New("describes a torn line that is not there")
	case r.Seq != c.seq+1:
		return fmt.Errorf("has seq %d instead of %d: a record was removed, added or moved", r.Seq, c.seq+1)
	case r.Prev != c.head:
		return errors.New("does not continue the record before it, which was changed or exchanged")
	case r.Seq == 1 && (r.Kind == kindRelease || r.Kind == kindWithheld):
		return errors.New("is the first record, and does not say who opened the file")
	}
	return nil
}

// describedBy reports whether t describes what was torn, and is nil if nothing was. After
// a record that lacked only its newline, t counts no torn bytes.
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

// end notes what stands behind the last newline.
func (c *chain) end(rest []byte) error {
	if len(rest) == 0 {
		return nil
	}
	_, err := c.follow(rest)
	c.unended = true
	if len(c.torn) > 0 {
		c.torn = c.torn[:len(c.torn)-1] // the newline is not there
	}
	return err
}

func (c *chain) isTorn() bool { return c.unended || len(c.torn) > 0 }

func (c *chain) describeTorn() *Torn {
	t := describe(c.torn)
	return &t
}

// next completes r as the next record and returns its line. A record that
// describes a torn line ends that line first.
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
