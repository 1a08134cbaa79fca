package vtpm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

const selectSize = 3 // bytes of a bitmap of 24 PCRs

// Quote is a TPMS_ATTEST of the type quote, with or without a signature. It is made only by
// ParseQuote and is immutable. Nothing in it has been verified.
type Quote struct {
	statement

	selection Selection
	digest    Digest
}

// IsQuote reports whether data begins as ParseQuote expects.
func IsQuote(data []byte) bool {
	magic := binary.BigEndian.AppendUint32(nil, tpmGenerated)
	return bytes.HasPrefix(data, magic) || len(data) > 2 && bytes.HasPrefix(data[2:], magic)
}

// ParseQuote parses a TPMS_ATTEST without a size, or a TPM2B_ATTEST, which a TPMT_SIGNATURE
// may follow.
func ParseQuote(data []byte) (*Quote, error) {
	q, err := parseQuote(data)
	if err != nil {
		return nil, fmt.Errorf("parsing the quote: %w", err)
	}
	return q, nil
}

func parseQuote(data []byte) (*Quote, error) {
	if len(data) > maxStatement {
		return nil, fmt.Errorf("it has more than %d bytes", maxStatement)
	}
	outer := cursor{rest: data, order: binary.BigEndian}
	attest := data
	if len(data) < 4 || binary.BigEndian.Uint32(data) != tpmGenerated {
		attest = outer.sized()
	} else {
		outer.rest = nil
	}
	if outer.err != nil {
		return nil, outer.err
	}
	q := new(Quote)
	if err := q.parseAttest(attest); err != nil {
		return nil, err
	}
	if len(outer.rest) == 0 {
		return q, nil
	}
	return q.signed(outer.rest)
}

func (q *Quote) parseAttest(attest []byte) error {
	c, err := q.parse(attest, attestQuote)
	if err != nil {
		return err
	}
	if err := q.parseSelection(c); err != nil {
		return err
	}
	digest := c.sized()
	if err := c.end(); err != nil {
		return err
	}
	if len(digest) != sha256.Size {
		return fmt.Errorf("its digest has %d bytes, want %d", len(digest), sha256.Size)
	}
	q.digest = Digest(digest)
	return nil
}

// parseSelection parses a TPML_PCR_SELECTION, which must select only the SHA-256 bank.
func (q *Quote) parseSelection(c *cursor) error {
	banks, algorithm, size := c.u32(), c.u16(), c.u8()
	bitmap := c.next(selectSize)
	switch {
	case c.err != nil:
		return c.err
	case banks != 1:
		return fmt.Errorf("it is over %d banks of PCRs, want 1", banks)
	case algorithm != algorithmHash:
		return &otherBankError{"is over PCRs of", bankName(algorithm)}
	case size != selectSize:
		return fmt.Errorf("its bitmap of PCRs has %d bytes, want %d", size, selectSize)
	}
	for i, octet := range bitmap {
		q.selection |= Selection(octet) << (8 * i)
	}
	return nil
}

// WithSignature returns the quote with a signature: a TPMT_SIGNATURE, or the bare RSA number.
func (q *Quote) WithSignature(signature []byte) (*Quote, error) {
	signed, err := q.signed(signature)
	if err != nil {
		return nil, fmt.Errorf("parsing the quote's signature: %w", err)
	}
	return signed, nil
}

func (q *Quote) signed(signature []byte) (*Quote, error) {
	bare, err := parseSignature(signature)
	if err != nil {
		return nil, err
	}
	signed := *q
	signed.signature = bare
	return &signed, nil
}

// Signed reports whether there is a signature, valid or not.
func (q *Quote) Signed() bool { return q.signature != nil }

// Signature returns the bare RSA number; nil if there is no signature.
func (q *Quote) Signature() []byte { return bytes.Clone(q.signature) }

// Nonce returns the qualifying data of the request for the quote.
func (q *Quote) Nonce() []byte { return bytes.Clone(q.nonce) }

// Clock returns when the quote was made.
func (q *Quote) Clock() Clock { return q.clock }

// Selection returns the PCRs that the quote covers.
func (q *Quote) Selection() Selection { return q.selection }

// Digest returns the SHA-256 of the values of these PCRs.
func (q *Quote) Digest() Digest { return q.digest }
