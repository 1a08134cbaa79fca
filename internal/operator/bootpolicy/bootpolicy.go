// Package bootpolicy reads what a verifier demands of a machine's measured boot.
//
// It is a file in YAML, which people write:
//
//	ak: hcl                 # or certificate
//	secure_boot: true       # which is what it says by default
//	selection: [0, 1, 2, 3, 4, 5, 6, 7]
//	pcrs:
//	  4: 7461…             # one digest, or a list of those that are good
//	  11: [aa…, bb…]
//	unlogged: [11]          # extended by software that writes no log
//	nonce: 00…              # that was sent; skrctl vtpm verify also takes --nonce
//	measurements: [5b…]     # launch measurements that are good, or any
//	id_keys: [94…]          # digests of keys that sign the guest, in the place of Azure's
//
// [Parse] refuses fields that it does not know and demands that cannot be met, so
// that a slip of the pen is not a check less. What is left out is strict: secure
// boot is demanded, the quote must be over PCR 0 to 7, and a paravisor must be signed by
// a key of Azure's. The package compares little: package verify does.
package bootpolicy

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"skr/attest/snp"
	"skr/attest/vtpm"
	"skr/internal/strictyaml"
)

// Trust says why an attestation key is believed.
type Trust string

// The reasons.
const (
	// HCL is a confidential VM: the processor's report names the key.
	HCL Trust = "hcl"
	// Certificate is Trusted Launch: Azure has certified the key.
	Certificate Trust = "certificate"
)

// Sizes of a nonce in bytes: below, it can be guessed; above, no TPM takes it
// ("TPM 2.0 Library", Part 2, section TPM2B_DATA with a SHA-512 name).
const (
	minNonce = 16
	maxNonce = 66
)

// firstEight are the PCRs that Azure's own clients quote.
var firstEight = []int{0, 1, 2, 3, 4, 5, 6, 7}

// Policy is what is demanded. It is made only by Parse.
type Policy struct {
	trust        Trust
	secureBoot   bool
	selection    vtpm.Selection
	pinned       map[int][]vtpm.Digest
	logged       vtpm.Selection
	nonce        []byte
	measurements []snp.Measurement
	any          bool // measurement will do
	keys         signers
}

// written is the file.
type written struct {
	AK           Trust          `json:"ak"`
	SecureBoot   *bool          `json:"secure_boot"`
	Selection    []int          `json:"selection"`
	PCRs         map[int]values `json:"pcrs"`
	Unlogged     []int          `json:"unlogged" empty:"strict"`
	Nonce        nonce          `json:"nonce"`
	Measurements measurements   `json:"measurements"`
	IDKeys       []string       `json:"id_keys"`
	AuthorKeys   []string       `json:"author_keys"`
}

// Parse reads the file.
func Parse(text []byte) (*Policy, error) {
	var w written
	err := strictyaml.Decode(text, &w)
	var p *Policy
	if err == nil {
		p, err = w.policy()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %s", strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return p, nil
}

func (w *written) policy() (*Policy, error) {
	if w.AK != HCL && w.AK != Certificate {
		return nil, fmt.Errorf("ak: want %s, for a confidential VM, or %s, for Trusted Launch", HCL, Certificate)
	}
	if w.AK == Certificate && (w.Measurements != nil || w.IDKeys != nil || w.AuthorKeys != nil) {
		return nil, fmt.Errorf("measurements, id_keys, author_keys: with ak: %s there is no report that has one", Certificate)
	}
	p := &Policy{trust: w.AK, secureBoot: w.SecureBoot == nil || *w.SecureBoot, nonce: w.Nonce}
	for _, read := range []func(*Policy) error{w.readSelection, w.readPCRs, w.readMeasurements, w.readSigners} {
		if err := read(p); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (w *written) readSelection(p *Policy) (err error) {
	if w.Selection == nil {
		w.Selection = firstEight
	}
	if p.selection, err = vtpm.Select(w.Selection...); err == nil && p.selection == 0 {
		err = errors.New("there is no PCR in it")
	}
	if err == nil && p.secureBoot && !p.selection.Has(vtpm.SecureBootPCR) {
		err = errors.New("secure boot needs PCR 7")
	}
	if err != nil {
		return fmt.Errorf("selection: %w", err)
	}
	return nil
}

func (w *written) readPCRs(p *Policy) error {
	unlogged, err := vtpm.Select(w.Unlogged...)
	if err != nil {
		return fmt.Errorf("unlogged: %w", err)
	}
	p.pinned = make(map[int][]vtpm.Digest, len(w.PCRs))
	for pcr, digests := range w.PCRs {
		if !p.selection.Has(pcr) {
			return fmt.Errorf("pcrs: PCR %d is not in the selection, %s", pcr, p.selection)
		}
		if p.pinned[pcr], err = digests.parse(); err != nil {
			return fmt.Errorf("pcrs: PCR %d: %w", pcr, err)
		}
		p.logged |= 1 << pcr
	}
	if unlogged&^p.logged != 0 {
		return fmt.Errorf("unlogged: PCR %s has no value in pcrs", unlogged&^p.logged)
	}
	p.logged &^= unlogged
	if p.secureBoot {
		p.logged |= 1 << vtpm.SecureBootPCR
	}
	return nil
}

// ParseNonce reads hexadecimal digits of 16 to 66 bytes.
func ParseNonce(text string) ([]byte, error) {
	nonce, err := hex.DecodeString(text)
	if err != nil || len(nonce) < minNonce || len(nonce) > maxNonce {
		return nil, fmt.Errorf("nonce: %.140q is not hexadecimal digits of %d to %d bytes", text, minNonce, maxNonce)
	}
	return nonce, nil
}

// Trust says why the attestation key is to be believed.
func (p *Policy) Trust() Trust { return p.trust }

// SecureBoot says whether it must be on.
func (p *Policy) SecureBoot() bool { return p.secureBoot }

// Selection are the PCRs that the quote must be over, no more and no less.
func (p *Policy) Selection() vtpm.Selection { return p.selection }

// Pinned are the PCRs with demanded values, ascending.
func (p *Policy) Pinned() []int { return slices.Sorted(maps.Keys(p.pinned)) }

// Allows says whether the value of a pinned PCR is good.
func (p *Policy) Allows(pcr int, value vtpm.Digest) bool {
	return slices.Contains(p.pinned[pcr], value)
}

// Logged are the PCRs that the event log must explain: those that are pinned, but
// for the unlogged, and that of secure boot.
func (p *Policy) Logged() vtpm.Selection { return p.logged }

// Nonce is what the quote must have; nil if the policy does not say.
func (p *Policy) Nonce() []byte { return slices.Clone(p.nonce) }

// Measurements are the launch measurements that are good; none if the policy does not
// name any.
func (p *Policy) Measurements() []snp.Measurement { return slices.Clone(p.measurements) }

// AnyMeasurement reports whether the policy says that whose guest it is does not matter.
func (p *Policy) AnyMeasurement() bool { return p.any }
