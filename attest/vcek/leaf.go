package vcek

import (
	"bytes"
	"crypto/x509"
	"fmt"

	"skr/attest/snp"
)

// Leaf is the chip and TCB that a VCEK or VLEK certificate names, for tools that show
// one without its issuers. Nothing in it has been verified.
type Leaf struct{ endorsed endorsement }

// IsLeaf reports whether the certificate is named as a VCEK or VLEK.
func IsLeaf(certificate *x509.Certificate) bool {
	_, err := leafKind(certificate)
	return err == nil
}

// ParseLeaf parses AMD's extensions of the certificate.
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

// Product returns the product line.
func (l Leaf) Product() snp.Product { return l.endorsed.product }

// TCB returns the TCB that the key was derived for.
func (l Leaf) TCB() snp.TCB { return l.endorsed.levels.TCB(l.endorsed.product) }

// HWID returns the identity of the chip: 64 bytes, 8 on Turin, none for a VLEK.
func (l Leaf) HWID() []byte { return bytes.Clone(l.endorsed.hwid) }
