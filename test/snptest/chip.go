package snptest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"skr/attest/snp"
)

// secretSize is the length of the secrets from which endorsement keys are
// derived.
const secretSize = 48

// Chip is one emulated processor. It is safe for concurrent use.
type Chip struct {
	vendor   *Vendor
	id       snp.ChipID
	secret   []byte // fused into the chip; its VCEKs are derived from it
	reportID [32]byte

	mu    sync.Mutex
	tcb   snp.TCB            // the current, committed, reported and launch TCB
	certs map[snp.TCB][]byte // issued VCEK certificates, PEM
}

// NewChip creates a chip with its own identity and secret.
func (v *Vendor) NewChip() (*Chip, error) {
	c := &Chip{
		vendor:   v,
		secret:   randomBytes(secretSize),
		reportID: [32]byte(randomBytes(32)),
		tcb:      silicon[v.product].tcb.TCB(v.product),
		certs:    make(map[snp.TCB][]byte),
	}
	copy(c.id[:], randomBytes(len(c.id.HWID(v.product))))
	return c, nil
}

// Vendor returns the chip's maker.
func (c *Chip) Vendor() *Vendor { return c.vendor }

// ID returns CHIP_ID. On Turin its last 56 bytes are zero.
func (c *Chip) ID() snp.ChipID { return c.id }

// SetTCB updates the firmware: it changes all four TCBs of later reports, and
// with them the signing key.
func (c *Chip) SetTCB(t snp.Components) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tcb = t.TCB(c.vendor.product)
}

// TCB returns the firmware's present TCB.
func (c *Chip) TCB() snp.TCB {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tcb
}

// VCEK returns the certificate of the chip's key at t, PEM. The same t returns
// the same certificate.
func (c *Chip) VCEK(t snp.TCB) ([]byte, error) {
	t = c.withProduct(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	if cert, ok := c.certs[t]; ok {
		return bytes.Clone(cert), nil
	}
	cert, err := c.LyingVCEK(t, Lies{})
	if err != nil {
		return nil, err
	}
	c.certs[t] = cert
	return bytes.Clone(cert), nil
}

// ChainPEM returns the VCEK at t, the ASK and the ARK.
func (c *Chip) ChainPEM(t snp.TCB) ([]byte, error) {
	cert, err := c.VCEK(t)
	if err != nil {
		return nil, err
	}
	return append(cert, c.vendor.ChainPEM()...), nil
}

// THIMDocument returns the answer of Azure's certificate service (THIM) for
// this chip at t: JSON with the members in the order of the
// host-amd-cert-base64 file of confidential containers.
func (c *Chip) THIMDocument(t snp.TCB) ([]byte, error) {
	cert, err := c.VCEK(t)
	if err != nil {
		return nil, err
	}
	return thimDocument(t, cert, c.vendor.ChainPEM())
}

// VLEKDocument returns the answer of THIM with the VLEK at t: the same members,
// with the VLEK in the place of the VCEK and the ASVK in that of the ASK.
func (c *Chip) VLEKDocument(t snp.TCB) ([]byte, error) {
	cert, err := c.VLEK(t)
	if err != nil {
		return nil, err
	}
	issuers, err := c.vendor.VLEKChainPEM()
	if err != nil {
		return nil, err
	}
	return thimDocument(t, cert, issuers)
}

func thimDocument(t snp.TCB, leaf, issuers []byte) ([]byte, error) {
	return json.Marshal(struct {
		VCEK         string `json:"vcekCert"`
		TCB          string `json:"tcbm"` // upper-case hex
		Chain        string `json:"certificateChain"`
		CacheControl string `json:"cacheControl"`
	}{string(leaf), strings.ToUpper(t.Hex()), string(issuers), "86400"})
}

// withProduct returns t as a TCB of this chip: the TCB of a version 2 report has no
// product.
func (c *Chip) withProduct(t snp.TCB) snp.TCB { return snp.NewTCB(t.Raw(), c.vendor.product) }

// vcek returns the chip's signing key at t.
func (c *Chip) vcek(t snp.TCB) (*ecdsa.PrivateKey, error) { return deriveKey(c.secret, "VCEK", t) }

// vlek returns the key at t that the vendor's only cloud provider loads into
// each chip.
func (c *Chip) vlek(t snp.TCB) (*ecdsa.PrivateKey, error) {
	return deriveKey(c.vendor.vlekSecret, "VLEK", t)
}

// deriveKey derives a P-384 key from secret and TCB. As on real chips, a
// firmware update changes the key and a downgrade restores it.
func deriveKey(secret []byte, label string, t snp.TCB) (*ecdsa.PrivateKey, error) {
	scalar, err := hkdf.Key(sha512.New384, secret, nil, label+" "+t.Hex(), secretSize)
	if err != nil {
		return nil, fmt.Errorf("snptest: deriving the %s: %w", label, err)
	}
	// The scalar exceeds the group order with a probability of 2^-190.
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P384(), scalar)
	if err != nil {
		return nil, fmt.Errorf("snptest: deriving the %s: %w", label, err)
	}
	return key, nil
}
