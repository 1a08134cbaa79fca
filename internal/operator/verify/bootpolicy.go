package verify

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

// AKSource is how an attestation key is known.
type AKSource string

// The sources.
const (
	// AKFromHCL is for confidential VMs: the processor's report names the key.
	AKFromHCL AKSource = "hcl"
	// AKFromCertificate is for Trusted Launch: Azure has certified the key.
	AKFromCertificate AKSource = "certificate"
)

// Sizes of a nonce in bytes: a shorter one can be guessed, and no TPM accepts a longer one
// ("TPM 2.0 Library", Part 2, section TPM2B_DATA with a SHA-512 name).
const (
	minNonce = 16
	maxNonce = 66
)

// firstEight are the PCRs that Azure's own clients quote.
var firstEight = []int{0, 1, 2, 3, 4, 5, 6, 7}

// BootPolicy is what is demanded of a machine's measured boot. People write it in YAML:
//
//	ak: hcl                 # or certificate
//	secure_boot: true       # the default
//	selection: [0, 1, 2, 3, 4, 5, 6, 7]
//	pcrs:
//	  4: 7461…             # one good digest, or a list of them
//	  11: [aa…, bb…]
//	unlogged: [11]          # extended by software that writes no log
//	nonce: 00…              # that was sent; skrctl verify also takes --nonce
//	measurements: [5b…]     # good launch measurements, or any
//	id_keys: [94…]          # digests of keys that sign the guest, in place of Azure's
//
// [ParseBootPolicy] refuses unknown fields and demands that cannot be met, so that a typing
// error does not remove a check. Fields that are left out are strict: secure boot is demanded,
// the quote must cover PCR 0 to 7, and a key of Azure's must have signed the paravisor.
type BootPolicy struct {
	ak           AKSource
	secureBoot   bool
	selection    vtpm.Selection
	pinned       map[int][]vtpm.Digest
	logged       vtpm.Selection
	nonce        []byte
	measurements []snp.Measurement
	any          bool // measurement will do
	keys         guestSigners
}

// bootPolicyFile is the policy as it is written.
type bootPolicyFile struct {
	AK           AKSource           `json:"ak"`
	SecureBoot   *bool              `json:"secure_boot"`
	Selection    []int              `json:"selection"`
	PCRs         map[int]digestList `json:"pcrs"`
	Unlogged     []int              `json:"unlogged" empty:"strict"`
	Nonce        hexNonce           `json:"nonce"`
	Measurements measurementList    `json:"measurements"`
	IDKeys       []string           `json:"id_keys"`
	AuthorKeys   []string           `json:"author_keys"`
}

// ParseBootPolicy parses the YAML of a policy.
func ParseBootPolicy(text []byte) (*BootPolicy, error) {
	var w bootPolicyFile
	err := strictyaml.Decode(text, &w)
	var p *BootPolicy
	if err == nil {
		p, err = w.policy()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %s", strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return p, nil
}

func (w *bootPolicyFile) policy() (*BootPolicy, error) {
	if w.AK != AKFromHCL && w.AK != AKFromCertificate {
		return nil, fmt.Errorf("ak: want %s, for a confidential VM, or %s, for Trusted Launch", AKFromHCL, AKFromCertificate)
	}
	if w.AK == AKFromCertificate && (w.Measurements != nil || w.IDKeys != nil || w.AuthorKeys != nil) {
		return nil, fmt.Errorf("measurements, id_keys, author_keys: they need the processor's report, and ak: %s has none", AKFromCertificate)
	}
	p := &BootPolicy{ak: w.AK, secureBoot: w.SecureBoot == nil || *w.SecureBoot, nonce: w.Nonce}
	for _, parse := range []func(*BootPolicy) error{w.parseSelection, w.parsePCRs, w.parseMeasurements, w.parseSigners} {
		if err := parse(p); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (w *bootPolicyFile) parseSelection(p *BootPolicy) (err error) {
	if w.Selection == nil {
		w.Selection = firstEight
	}
	if p.selection, err = vtpm.Select(w.Selection...); err == nil && p.selection == 0 {
		err = errors.New("it contains no PCR")
	}
	if err == nil && p.secureBoot && !p.selection.Has(vtpm.SecureBootPCR) {
		err = errors.New("secure boot needs PCR 7")
	}
	if err != nil {
		return fmt.Errorf("selection: %w", err)
	}
	return nil
}

func (w *bootPolicyFile) parsePCRs(p *BootPolicy) error {
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

// ParseNonce parses the hexadecimal digits of 16 to 66 bytes.
func ParseNonce(text string) ([]byte, error) {
	nonce, err := hex.DecodeString(text)
	if err != nil || len(nonce) < minNonce || len(nonce) > maxNonce {
		return nil, fmt.Errorf("nonce: %.140q is not hexadecimal digits of %d to %d bytes", text, minNonce, maxNonce)
	}
	return nonce, nil
}

// AK returns how the attestation key is known.
func (p *BootPolicy) AK() AKSource { return p.ak }

// SecureBoot reports whether secure boot must be on.
func (p *BootPolicy) SecureBoot() bool { return p.secureBoot }

// Selection returns the PCRs that the quote must cover, no more and no less.
func (p *BootPolicy) Selection() vtpm.Selection { return p.selection }

// Pinned returns the PCRs with demanded values, ascending.
func (p *BootPolicy) Pinned() []int { return slices.Sorted(maps.Keys(p.pinned)) }

// Allows reports whether the value of a pinned PCR is good.
func (p *BootPolicy) Allows(pcr int, value vtpm.Digest) bool {
	return slices.Contains(p.pinned[pcr], value)
}

// Logged returns the PCRs that the event log must explain: the pinned ones except the unlogged
// ones, and PCR 7 if secure boot must be on.
func (p *BootPolicy) Logged() vtpm.Selection { return p.logged }

// Nonce returns the nonce that the quote must have; nil if the policy has none.
func (p *BootPolicy) Nonce() []byte { return slices.Clone(p.nonce) }

// Measurements returns the good launch measurements, if the policy names any.
func (p *BootPolicy) Measurements() []snp.Measurement { return slices.Clone(p.measurements) }

// AnyMeasurement reports whether the policy accepts every guest.
func (p *BootPolicy) AnyMeasurement() bool { return p.any }
