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

// secretSize is the length of the secrets that endorsement keys come from.
const secretSize = 48

// Chip is one emulated processor. It is safe for concurrent use.
type Chip struct {
	vendor   *Vendor
	id       snp.ChipID
	secret   []byte // fused into the chip; its VCEKs are derived from it
	reportID [32]byte

	mu    sync.Mutex
	tcb   snp.TCB            // current, committed, reported and launch
	certs map[snp.TCB][]byte // VCEK certificates that were issued, PEM
}

// NewChip makes a chip with an identity and secret of its own.
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

// Vendor is who made the chip.
func (c *Chip) Vendor() *Vendor { return c.vendor }

// ID is CHIP_ID; on Turin its last 56 bytes are zero.
func (c *Chip) ID() snp.ChipID { return c.id }

// SetTCB is a firmware update: all four TCBs of later reports, and with them
// the key that signs.
func (c *Chip) SetTCB(t snp.Components) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tcb = t.TCB(c.vendor.product)
}

// TCB is what the firmware has now.
func (c *Chip) TCB() snp.TCB {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tcb
}

// VCEK is the certificate of the chip's key at t, PEM. The same t gives the
// same certificate.
func (c *Chip) VCEK(t snp.TCB) ([]byte, error) {
	t = c.own(t)
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

// ChainPEM is the VCEK at t, the ASK and the ARK.
func (c *Chip) ChainPEM(t snp.TCB) ([]byte, error) {
	cert, err := c.VCEK(t)
	if err != nil {
		return nil, err
	}
	return append(cert, c.vendor.ChainPEM()...), nil
}

// THIMDocument is what Azure's certificate service (THIM) answers for this chip
// at t: JSON with the members in the order of the host-amd-cert-base64 file of
// confidential containers.
func (c *Chip) THIMDocument(t snp.TCB) ([]byte, error) {
	cert, err := c.VCEK(t)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		VCEK         string `json:"vcekCert"`
		TCB          string `json:"tcbm"` // upper-case hex
		Chain        string `json:"certificateChain"`
		CacheControl string `json:"cacheControl"`
	}{string(cert), strings.ToUpper(t.Hex()), string(c.vendor.ChainPEM()), "86400"})
}

// own reads t as a TCB of this chip: one of a version 2 report has no product.
func (c *Chip) own(t snp.TCB) snp.TCB { return snp.NewTCB(t.Raw(), c.vendor.product) }

// vcek is the key that the chip signs with at t.
func (c *Chip) vcek(t snp.TCB) (*ecdsa.PrivateKey, error) { return deriveKey(c.secret, "VCEK", t) }

// vlek is the key that the vendor's one cloud provider loads into each chip at t.
func (c *Chip) vlek(t snp.TCB) (*ecdsa.PrivateKey, error) {
	return deriveKey(c.vendor.vlekSecret, "VLEK", t)
}

// deriveKey makes a P-384 key of secret and TCB, so that a firmware update
// changes the key and a way back brings it back, as with real chips.
func deriveKey(secret []byte, label string, t snp.TCB) (*ecdsa.PrivateKey, error) {
	scalar, err := hkdf.Key(sha512.New384, secret, nil, label+" "+t.Hex(), secretSize)
	if err != nil {
		return nil, fmt.Errorf("snptest: deriving the %s: %w", label, err)
	}
	// Above the group order with a probability of 2^-190.
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P384(), scalar)
	if err != nil {
		return nil, fmt.Errorf("snptest: deriving the %s: %w", label, err)
	}
	return key, nil
}
