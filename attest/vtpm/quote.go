package vtpm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Numbers of TPM2, sections TPM_GENERATED, TPM_ST and TPM_ALG_ID.
const (
	tpmGenerated  = 0xff544347
	attestQuote   = 0x8018
	algorithmRSA  = 0x0014 // TPM_ALG_RSASSA
	algorithmHash = 0x000b // TPM_ALG_SHA256
	selectSize    = 3      // bytes of a bitmap of 24 PCRs
	maxQuote      = 4 << 10
)

// Clock is when a quote was made, as the TPM counts (TPM2, section TPMS_CLOCK_INFO).
type Clock struct {
	Milliseconds uint64 // of running, since the TPM was made
	ResetCount   uint32 // starts of the machine
	RestartCount uint32 // resumptions since
	Safe         bool   // that Milliseconds never goes back
	Firmware     uint64
}

// Quote is a TPMS_ATTEST of the type quote, with its signature if there is one. It
// is made only by ParseQuote and never changes.
type Quote struct {
	attest    []byte // what is signed
	signature []byte // RSASSA; nil if none was given
	nonce     []byte
	clock     Clock
	selection Selection
	digest    Digest
}

// IsQuote says whether data begins as ParseQuote takes it.
func IsQuote(data []byte) bool {
	magic := binary.BigEndian.AppendUint32(nil, tpmGenerated)
	return bytes.HasPrefix(data, magic) || len(data) > 2 && bytes.HasPrefix(data[2:], magic)
}

// ParseQuote reads a TPMS_ATTEST, alone or as a TPM2B_ATTEST, which a
// TPMT_SIGNATURE may follow.
func ParseQuote(data []byte) (*Quote, error) {
	q, err := parseQuote(data)
	if err != nil {
		return nil, fmt.Errorf("vtpm: parsing the quote: %w", err)
	}
	return q, nil
}

func parseQuote(data []byte) (*Quote, error) {
	if len(data) > maxQuote {
		return nil, fmt.Errorf("it has more than %d bytes", maxQuote)
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
	q := &Quote{attest: bytes.Clone(attest)}
	if err := q.parseAttest(); err != nil {
		return nil, err
	}
	if len(outer.rest) == 0 {
		return q, nil
	}
	return q.signed(outer.rest)
}

// parseAttest reads a TPMS_ATTEST (TPM2, section TPMS_ATTEST).
func (q *Quote) parseAttest() error {
	c := cursor{rest: q.attest, order: binary.BigEndian}
	if magic := c.u32(); magic != tpmGenerated {
		return fmt.Errorf("its magic is %#x, want %#x: no TPM has made it", magic, uint32(tpmGenerated))
	}
	if kind := c.u16(); kind != attestQuote {
		return fmt.Errorf("its type is %#x, want %#x, a quote", kind, attestQuote)
	}
	c.sized() // qualifiedSigner: a name that only the TPM knows
	q.nonce = c.sized()
	q.clock = Clock{Milliseconds: c.u64(), ResetCount: c.u32(), RestartCount: c.u32(), Safe: c.u8() == 1}
	q.clock.Firmware = c.u64()
	if err := q.parseSelection(&c); err != nil {
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

// parseSelection reads a TPML_PCR_SELECTION of the one bank that counts.
func (q *Quote) parseSelection(c *cursor) error {
	banks, algorithm, size := c.u32(), c.u16(), c.u8()
	bitmap := c.take(selectSize)
	switch {
	case c.err != nil:
		return c.err
	case banks != 1:
		return fmt.Errorf("it is over %d banks of PCRs, want 1", banks)
	case algorithm != algorithmHash:
		return fmt.Errorf("its bank is that of the algorithm %#x, want %#x, SHA-256", algorithm, algorithmHash)
	case size != selectSize:
		return fmt.Errorf("its bitmap of PCRs has %d bytes, want %d", size, selectSize)
	}
	for i, octet := range bitmap {
		q.selection |= Selection(octet) << (8 * i)
	}
	return nil
}

// WithSignature is the quote with its signature: a TPMT_SIGNATURE, or the bare RSA
// number.
func (q *Quote) WithSignature(signature []byte) (*Quote, error) {
	signed, err := q.signed(signature)
	if err != nil {
		return nil, fmt.Errorf("vtpm: parsing the quote's signature: %w", err)
	}
	return signed, nil
}

func (q *Quote) signed(signature []byte) (*Quote, error) {
	signed := *q
	c := cursor{rest: signature, order: binary.BigEndian}
	algorithm, hash := c.u16(), c.u16()
	bare := c.sized()
	switch {
	case len(signature) == 256 || len(signature) == 384 || len(signature) == 512: // no TPMT_SIGNATURE is: it has 6 bytes more
		signed.signature = bytes.Clone(signature)
		return &signed, nil
	case c.end() != nil:
		return nil, fmt.Errorf("it is no TPMT_SIGNATURE: %w", c.end())
	case algorithm != algorithmRSA || hash != algorithmHash:
		return nil, fmt.Errorf("its algorithms are %#x and %#x, want %#x and %#x, RSASSA and SHA-256", algorithm, hash, algorithmRSA, algorithmHash)
	}
	signed.signature = bytes.Clone(bare)
	return &signed, nil
}

// Signed says whether there is a signature, good or bad.
func (q *Quote) Signed() bool { return q.signature != nil }

// Nonce is the qualifying data that the quote was asked for with.
func (q *Quote) Nonce() []byte { return bytes.Clone(q.nonce) }

// Clock says when it was made.
func (q *Quote) Clock() Clock { return q.clock }

// Selection are the PCRs that it is over.
func (q *Quote) Selection() Selection { return q.selection }

// Digest is over the values of these PCRs.
func (q *Quote) Digest() Digest { return q.digest }
