package snp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// ReportSize is the length of ATTESTATION_REPORT in bytes (AMD 56860, table
// ATTESTATION_REPORT Structure).
const ReportSize = 0x4A0

// ErrMalformed means that the bytes are not a report that this package supports.
var ErrMalformed = errors.New("malformed SEV-SNP report")

// Report is a well-formed report, made by [Parse]. It is immutable. Its signature has
// not been verified.
type Report struct{ raw [ReportSize]byte }

// Parse checks the form of raw and copies it. It accepts exactly ReportSize bytes of
// version 2 to 5. Its error wraps [ErrMalformed].
func Parse(raw []byte) (*Report, error) {
	if len(raw) != ReportSize {
		return nil, fmt.Errorf("%w: %d bytes, want %d", ErrMalformed, len(raw), ReportSize)
	}
	r := &Report{raw: [ReportSize]byte(raw)}
	for _, check := range []func() error{r.checkVersion, r.checkAlgorithm, r.checkKeyInfo, r.checkReserved} {
		if err := check(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	}
	return r, nil
}

// Raw returns a copy of the whole report.
func (r *Report) Raw() []byte { return bytes.Clone(r.raw[:]) }

// Signed returns a copy of the bytes that the signature covers, 0x000-0x29F
// (AMD 56860, table ATTESTATION_REPORT Structure, field SIGNATURE).
func (r *Report) Signed() []byte { return bytes.Clone(r.raw[:offSignature]) }

// Signature returns the R and S components, each 72 bytes, little-endian and
// zero-extended (AMD 56860, format of an ECDSA P-384 with SHA-384 signature).
func (r *Report) Signature() (rLE, sLE []byte) {
	return bytes.Clone(r.raw[offSignature:offSignatureS]), bytes.Clone(r.raw[offSignatureS:offSignatureEnd])
}

// String describes the report for logs, without its evidence.
func (r *Report) String() string {
	return fmt.Sprintf("SEV-SNP report version %d, %s, reported TCB %s", r.Version(), r.Product(), r.ReportedTCB())
}

func (r *Report) u32(offset int) uint32 { return binary.LittleEndian.Uint32(r.raw[offset:]) }
func (r *Report) u64(offset int) uint64 { return binary.LittleEndian.Uint64(r.raw[offset:]) }
