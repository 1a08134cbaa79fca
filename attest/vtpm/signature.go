package vtpm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Signature algorithms and hashes of TPM2, section TPM_ALG_ID.
var (
	rsaSchemes = []uint16{algorithmRSA, 0x0016}         // RSASSA, RSAPSS
	ecSchemes  = []uint16{0x0018, 0x001a, 0x001b}       // ECDSA, ECDAA, SM2
	hashes     = []uint16{0x0004, 0x000b, 0x000c, 0x0d} // SHA-1, SHA-256, SHA-384, SHA-512
)

const (
	minRSASize = 128
	maxRSASize = 512
	maxECSize  = 66
)

// Signature is a TPMT_SIGNATURE without what it signs, by RSASSA with SHA-256. It is made only
// by ParseSignature. It has not been verified.
type Signature struct{ raw, bare []byte }

// IsSignature reports whether data is a TPMT_SIGNATURE of any algorithm (TPM2, section
// TPMT_SIGNATURE). It does not recognise bare RSA numbers.
func IsSignature(data []byte) bool {
	c := cursor{rest: data, order: binary.BigEndian}
	scheme, hash := c.u16(), c.u16()
	one := len(c.sized())
	switch {
	case !slices.Contains(hashes, hash):
		return false
	case slices.Contains(rsaSchemes, scheme):
		return c.end() == nil && one >= minRSASize && one <= maxRSASize
	case slices.Contains(ecSchemes, scheme):
		two := len(c.sized())
		return c.end() == nil && one > 0 && two > 0 && one <= maxECSize && two <= maxECSize
	}
	return false
}

// ParseSignature parses a TPMT_SIGNATURE.
func ParseSignature(data []byte) (*Signature, error) {
	if !IsSignature(data) {
		return nil, errors.New("parsing a signature: it is no TPMT_SIGNATURE")
	}
	bare, err := parseSignature(data)
	if err != nil {
		return nil, fmt.Errorf("parsing a signature: %w", err)
	}
	return &Signature{bytes.Clone(data), bare}, nil
}

// Raw returns the TPMT_SIGNATURE, for [Quote.WithSignature].
func (s *Signature) Raw() []byte { return bytes.Clone(s.raw) }

// Number returns the bare RSA number.
func (s *Signature) Number() []byte { return bytes.Clone(s.bare) }

// Bits returns the size of the RSA key that made it.
func (s *Signature) Bits() int { return 8 * len(s.bare) }
