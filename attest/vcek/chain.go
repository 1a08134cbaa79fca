// Package vcek finds and verifies the endorsements of an SEV-SNP report: the
// certificates by which AMD vouches for the key that signed it.
//
// A [Chain] is three certificates: the leaf (a VCEK, which belongs to one chip
// and one TCB version, or a VLEK, which AMD gives to a cloud provider), the
// intermediate (ASK or ASVK) and the root (ARK), one of each per product line.
// The leaf's extensions name the chip and the TCB; [Chain.Verify] holds them
// against a report, the certificates against the pinned [Roots], and the
// report's signature against the leaf's key.
//
// A new firmware means a new TCB and so another VCEK. An [Endorser] finds the
// one that a report needs among its [Source]s, and keeps it:
//
//	endorser := vcek.NewEndorser(vcek.Config{Sources: []vcek.Source{thim, kds}})
//	chain, err := endorser.Chain(ctx, report)
//
// Nothing that a source says is believed: a chain counts only once it has
// verified against the report. The package does not judge what the report says
// (policy, measurement, minimal TCB) and does not read AMD's revocation lists.
//
// Certificates are those of AMD publication 57230, "Versioned Chip Endorsement
// Key (VCEK) Certificate and KDS Interface Specification".
package vcek

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"skr/attest/snp"
)

// Chain is leaf, intermediate and root, with the chip and TCB that the leaf's
// extensions name. It never changes. Nothing in it has been verified.
type Chain struct {
	leaf, intermediate, root *x509.Certificate

	key      *ecdsa.PublicKey // of the leaf
	endorsed endorsement
	tcbm     string // as a THIM document wrote it, right or wrong; "" if there was none

	completed []string // issuers that did not come with the leaf: "ASK"
}

// Expires is when the first of the certificates expires.
func (c *Chain) Expires() time.Time {
	first := c.leaf.NotAfter
	for _, certificate := range []*x509.Certificate{c.intermediate, c.root} {
		if certificate.NotAfter.Before(first) {
			first = certificate.NotAfter
		}
	}
	return first
}

// newChain reads the leaf; order and names are checked by [Chain.Verify].
func newChain(leaf, intermediate, root *x509.Certificate) (*Chain, error) {
	kind, err := leafKind(leaf)
	if err != nil {
		return nil, err
	}
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P384() {
		return nil, fmt.Errorf("the %s certificate has no ECDSA P-384 key", kindName(kind))
	}
	endorsed, err := parseEndorsement(kind, leaf.Extensions)
	if err != nil {
		return nil, fmt.Errorf("reading the extensions of the %s certificate: %w", kindName(kind), err)
	}
	return &Chain{leaf: leaf, intermediate: intermediate, root: root, key: key, endorsed: endorsed}, nil
}

// leafKind goes by the subject's common name (AMD 57230, tables VCEK and VLEK
// Certificate Format).
func leafKind(leaf *x509.Certificate) (snp.SigningKey, error) {
	switch name := leaf.Subject.CommonName; name {
	case "SEV-VCEK":
		return snp.VCEK, nil
	case "SEV-VLEK":
		return snp.VLEK, nil
	default:
		return 0, fmt.Errorf("the certificate must be a VCEK or VLEK, its subject is %q", name)
	}
}

func kindName(kind snp.SigningKey) string {
	switch kind {
	case snp.VCEK:
		return "VCEK"
	case snp.VLEK:
		return "VLEK"
	case snp.Unsigned:
		return "no key"
	}
	return fmt.Sprintf("key %d", uint8(kind))
}

// PEM is leaf, intermediate and root, with LF line ends.
func (c *Chain) PEM() []byte {
	var text bytes.Buffer
	for _, certificate := range c.Certificates() {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: certificate.Raw}))
	}
	return text.Bytes()
}

// Certificates are leaf, intermediate and root. The caller must not change them.
func (c *Chain) Certificates() []*x509.Certificate {
	return []*x509.Certificate{c.leaf, c.intermediate, c.root}
}

// Product is the product line that the leaf names.
func (c *Chain) Product() snp.Product { return c.endorsed.product }

// TCB is the one that the leaf names. Once the chain has verified against a
// report, its components are those of the report's REPORTED_TCB.
func (c *Chain) TCB() snp.TCB { return c.endorsed.levels.TCB(c.endorsed.product) }

// Remark says what a THIM document tells of the chain that its leaf contradicts; ""
// if nothing. Nothing rests on it: the leaf counts.
func (c *Chain) Remark() string {
	if c.tcbm == "" {
		return ""
	}
	if err := c.checkTCBM(); err != nil {
		return err.Error()
	}
	return ""
}

// TCBM is the TCB as the certificate service wrote it, 16 hex digits; clients of
// the reference sidecar know it as that very text. For a chain from elsewhere, and
// where the service wrote another TCB, it is what THIM would write, in upper case.
func (c *Chain) TCBM() string {
	if c.tcbm != "" && c.Remark() == "" {
		return c.tcbm
	}
	return strings.ToUpper(c.TCB().Hex())
}

var errEmptyChain = errors.New("the certificate chain is empty")
