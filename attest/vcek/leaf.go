package vcek

import (
	"bytes"
	"crypto/x509"
	"fmt"

	"skr/attest/snp"
)

// Leaf is what a VCEK or VLEK certificate says of chip and TCB, for people who
// look at one without its issuers. Nothing in it has been verified.
type Leaf struct{ endorsed endorsement }

// IsLeaf says whether the certificate is named as a VCEK or VLEK.
func IsLeaf(certificate *x509.Certificate) bool {
	_, err := leafKind(certificate)
	return err == nil
}

// ParseLeaf reads AMD's extensions.
func ParseLeaf(certificate *x509.Certificate) (Leaf, error) {
	kind, err := leafKind(certificate)
	if err != nil {
		return Leaf{}, fmt.Errorf("parsing certificate: %w", err)
	}
	endorsed, err := parseEndorsement(kind, certificate.Extensions)
	if err != nil {
		return Leaf{}, fmt.Errorf("parsing extensions: %w", err)
	}
	return Leaf{endorsed}, nil
}

// Product is the product line.
func (l Leaf) Product() snp.Product { return l.endorsed.product }

// TCB is what the key was derived for.
func (l Leaf) TCB() snp.TCB { return l.endorsed.levels.TCB(l.endorsed.product) }

// HWID is the chip: 64 bytes, 8 on Turin, none for a VLEK.
func (l Leaf) HWID() []byte { return bytes.Clone(l.endorsed.hwid) }
