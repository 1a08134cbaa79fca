// Package vcek finds and verifies the endorsements of an SEV-SNP report: the
// certificates with which AMD vouches for the key that signed the report.
//
// A [Chain] consists of three certificates: the leaf, the intermediate (ASK or ASVK)
// and the root (ARK). The leaf is a VCEK, which belongs to one chip and one TCB, or a
// VLEK, which AMD gives to a cloud provider. Each product line has its own
// intermediates and root. The leaf's extensions name the chip and the TCB.
// [Chain.Verify] compares them with a report, verifies that the certificates lead to
// the pinned [Roots], and verifies the report's signature with the leaf's key.
//
// New firmware means a new TCB and therefore another VCEK. An [Endorser] asks its
// [Source]s for the chain that a report needs, and caches it:
//
//	kds := vcek.NewKDSSource(http.DefaultClient, "https://kdsintf.amd.com")
//	endorser := vcek.NewEndorser(vcek.Config{Sources: []vcek.Source{kds}})
//	chain, err := endorser.Chain(ctx, report)
//
// Sources are not trusted: the Endorser returns only chains that verify against the
// report. The package does not judge what the report says (policy, measurement,
// minimum TCB) and does not read AMD's revocation lists.
//
// Certificates follow AMD publication 57230, "Versioned Chip Endorsement Key (VCEK)
// Certificate and KDS Interface Specification".
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
// extensions name. It is immutable. Nothing in it has been verified.
type Chain struct {
	leaf, intermediate, root *x509.Certificate

	key      *ecdsa.PublicKey // of the leaf
	endorsed endorsement
	tcbm     string // of a THIM document, not checked; "" without one

	completed []string // issuers that did not come with the leaf, such as "ASK"
}

// Expires returns when the first of the certificates expires.
func (c *Chain) Expires() time.Time {
	first := c.leaf.NotAfter
	for _, certificate := range []*x509.Certificate{c.intermediate, c.root} {
		if certificate.NotAfter.Before(first) {
			first = certificate.NotAfter
		}
	}
	return first
}

// newChain parses the leaf. [Chain.Verify] checks order and names.
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

// leafKind derives the kind from the subject's common name (AMD 57230, tables VCEK and
// VLEK Certificate Format).
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

// PEM returns leaf, intermediate and root, with LF line ends.
func (c *Chain) PEM() []byte {
	var text bytes.Buffer
	for _, certificate := range c.Certificates() {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: certificate.Raw}))
	}
	return text.Bytes()
}

// Certificates returns leaf, intermediate and root. The caller must not change them.
func (c *Chain) Certificates() []*x509.Certificate {
	return []*x509.Certificate{c.leaf, c.intermediate, c.root}
}

// Product returns the product line that the leaf names.
func (c *Chain) Product() snp.Product { return c.endorsed.product }

// TCB returns the TCB that the leaf names. If the chain has verified against a report,
// it has the same components as the report's REPORTED_TCB.
func (c *Chain) TCB() snp.TCB { return c.endorsed.levels.TCB(c.endorsed.product) }

// Remark describes how the tcbm of a THIM document contradicts the leaf; "" if it does
// not. The contradiction has no effect: the leaf counts.
func (c *Chain) Remark() string {
	if c.tcbm == "" {
		return ""
	}
	if err := c.checkTCBM(); err != nil {
		return err.Error()
	}
	return ""
}

// TCBM returns the TCB as 16 hex digits. It is the exact text of the THIM document,
// which clients of the reference sidecar expect. If the chain has another source or the
// document names another TCB, it is the leaf's TCB in upper case.
func (c *Chain) TCBM() string {
	if c.tcbm != "" && c.Remark() == "" {
		return c.tcbm
	}
	return strings.ToUpper(c.TCB().Hex())
}

var errEmptyChain = errors.New("the certificate chain is empty")
