package tdx

import (
	"bytes"
	"errors"
	"fmt"
)

// maxQuote bounds a quote in bytes. Those of Azure have 5006 or 5010 bytes.
const maxQuote = 64 << 10

// intelVendor is the QE vendor ID of Intel's quoting enclave,
// 939a7233-f79c-4ca9-940a-0db3957f0607 (DCAP A.3.1).
var intelVendor = [16]byte{0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07}

// Quote is a well-formed quote of version 4 or 5, made by [ParseQuote]. It is immutable. Its
// methods are the fields of the quote. Nothing in it has been verified.
type Quote struct {
	raw      []byte // without what follows
	body     []byte // part of raw
	signed   int    // length of the part of raw that the signature covers
	trailing int    // bytes after it, other than zeros alone

	signature, key [64]byte
	qe             QEReport
	pck            pckChain
}

// IsQuote reports whether raw begins as a quote for TDX by Intel's quoting enclave.
func IsQuote(raw []byte) bool {
	return len(raw) >= headerSize && u32(raw, offTEE) == teeTDX && [16]byte(raw[offVendor:]) == intelVendor
}

// ParseQuote checks the form of raw and copies it. It accepts versions 4 and 5 with the body
// of TDX 1.0 or 1.5 (584 or 648 bytes), signed with ECDSA P-256, with a chain of three PCK
// certificates. Zero bytes after the quote are ignored, because Azure's host pads version 4.
// A quote with other bytes after it can be shown, but does not verify: see [Quote.Trailing].
// The error wraps [ErrMalformed].
func ParseQuote(raw []byte) (*Quote, error) {
	q, err := parseQuote(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: quote: %w", ErrMalformed, err)
	}
	return q, nil
}

func parseQuote(raw []byte) (*Quote, error) {
	if len(raw) > maxQuote {
		return nil, fmt.Errorf("%d bytes are more than %d", len(raw), maxQuote)
	}
	if err := checkHeader(raw); err != nil {
		return nil, err
	}
	begin, size, err := bodyOf(raw)
	if err != nil {
		return nil, err
	}
	signed := begin + size
	if len(raw) < signed+4 {
		return nil, fmt.Errorf("%d bytes end before the signature data", len(raw))
	}
	length := uint64(u32(raw, signed))
	rest := raw[signed+4:]
	if length > uint64(len(rest)) {
		return nil, fmt.Errorf("the signature data has %d bytes, %d are there", length, len(rest))
	}
	data, trailing := rest[:length], rest[length:]
	own := bytes.Clone(raw[:len(raw)-len(trailing)])
	q := &Quote{raw: own, body: own[begin:signed], signed: signed}
	if len(bytes.Trim(trailing, "\x00")) > 0 {
		q.trailing = len(trailing)
	}
	return q, q.parseSignature(data)
}

func checkHeader(raw []byte) error {
	if len(raw) < headerSize {
		return fmt.Errorf("%d bytes, the header alone has %d", len(raw), headerSize)
	}
	switch version := u16(raw, offVersion); {
	case version != version4 && version != version5:
		return fmt.Errorf("version %d, want 4 or 5", version)
	case u16(raw, offKeyType) != keyTypeP256:
		return fmt.Errorf("attestation key type %d, want 2 (ECDSA P-256)", u16(raw, offKeyType))
	case u32(raw, offTEE) != teeTDX:
		return fmt.Errorf("TEE type %#x, want 0x81 (TDX)", u32(raw, offTEE))
	case [16]byte(raw[offVendor:]) != intelVendor:
		return fmt.Errorf("QE vendor %x, want %x (Intel)", raw[offVendor:][:16], intelVendor)
	}
	return nil
}

// bodyOf returns where the body begins, and its size.
func bodyOf(raw []byte) (begin, size int, err error) {
	if u16(raw, offVersion) == version4 {
		return headerSize, body10Size, nil
	}
	if len(raw) < header5Size {
		return 0, 0, errors.New("it ends before the body")
	}
	kind, stated := u16(raw, offBodyType), u32(raw, offBodySize)
	switch kind {
	case bodyType10:
		size = body10Size
	case bodyType15:
		size = body15Size
	default:
		return 0, 0, fmt.Errorf("body type %d, want 2 (TDX 1.0) or 3 (TDX 1.5)", kind)
	}
	if uint64(stated) != uint64(size) { // #nosec G115 -- size is a constant
		return 0, 0, fmt.Errorf("a body of type %d with %d bytes, want %d", kind, stated, size)
	}
	return header5Size, size, nil
}

// parseSignature parses the signature data.
func (q *Quote) parseSignature(data []byte) error {
	if len(data) < offAuth {
		return fmt.Errorf("the signature data has %d bytes, at least %d are needed", len(data), offAuth)
	}
	if kind := u16(data, offDataType); kind != dataTypeQE {
		return fmt.Errorf("certification data of type %d, want 6 (QE report)", kind)
	}
	if size := uint64(u32(data, offDataSize)); size != uint64(max(0, len(data)-offQEReport)) {
		return fmt.Errorf("certification data of %d bytes, %d are there", size, len(data)-offQEReport)
	}
	q.signature, q.key = [64]byte(data[offSignature:]), [64]byte(data[offAttestationKey:])
	inner := offAuth + int(u16(data, offAuthSize))
	if len(data) < inner+dataHeader {
		return errors.New("it ends within the authentication data of the QE")
	}
	q.qe = QEReport{raw: [qeReportSize]byte(data[offQEReport:]), signature: [64]byte(data[offQESignature:]), auth: bytes.Clone(data[offAuth:inner])}
	if kind := u16(data, inner); kind != dataTypePCKChain {
		return fmt.Errorf("the QE is certified with data of type %d, want 5 (PCK certificate chain)", kind)
	}
	chain := data[inner+dataHeader:]
	if size := uint64(u32(data, inner+2)); size != uint64(len(chain)) {
		return fmt.Errorf("a PCK certificate chain of %d bytes, %d are there", size, len(chain))
	}
	var err error
	q.pck, err = parsePCKChain(chain)
	return err
}

// Trailing returns the number of bytes after the quote, and 0 if all are zero.
func (q *Quote) Trailing() int { return q.trailing }

// Raw returns a copy of the quote without the bytes after it.
func (q *Quote) Raw() []byte { return bytes.Clone(q.raw) }

// Signed returns a copy of the bytes that the signature covers: header and body.
func (q *Quote) Signed() []byte { return bytes.Clone(q.raw[:q.signed]) }

// String describes the quote for logs, without its evidence.
func (q *Quote) String() string {
	return fmt.Sprintf("TDX quote version %d, TEE_TCB_SVN %s, %s", q.Version(), q.TEETCBSVN(), q.PCK())
}
