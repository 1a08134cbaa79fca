package snptest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"slices"

	"skr/attest/snp"
)

// Options override fields of a report. Zero values give a report like Azure's:
// version 3, POLICY 0x3001f, VMPL 0, signed by the VCEK. A pointer field can
// also be overridden with zero.
type Options struct {
	Version            uint32 // 3
	GuestSVN           uint32
	Policy             uint64 // 0x3001f: ABI 0.31, SMT, the bit that must be one
	FamilyID           [16]byte
	ImageID            [16]byte
	VMPL               uint32
	SignatureAlgorithm uint32 // 1
	CurrentTCB         *snp.TCB
	PlatformInfo       *uint64 // 0x25: SMT, ECC, alias check complete
	AuthorKeyEnabled   bool
	// MaskChipKey sets MASK_CHIP_KEY; the signature is then zero.
	MaskChipKey bool
	// SigningKey is VCEK, VLEK (from Chip.VLEK), or Unsigned, with a zero signature.
	SigningKey  snp.SigningKey
	ReportData  *snp.ReportData // instead of the caller's
	Measurement snp.Measurement // SHA-384 of a fixed text
	HostData    snp.HostData
	IDKeyDigest [48]byte
	// AuthorKeyDigest has a meaning only with AuthorKeyEnabled.
	AuthorKeyDigest [48]byte
	ReportID        [32]byte  // fixed for the chip
	ReportIDMA      *[32]byte // 0xff...: no migration agent
	// ReportedTCB also selects the key that signs.
	ReportedTCB       *snp.TCB
	CPUID             *snp.CPUID // from version 3
	ChipID            *snp.ChipID
	CommittedTCB      *snp.TCB
	CurrentVersion    *snp.FirmwareVersion
	CommittedVersion  *snp.FirmwareVersion
	LaunchTCB         *snp.TCB
	LaunchMitigations uint64 // from version 5
	// CurrentMitigations applies from version 5.
	CurrentMitigations uint64

	// Mutate may change any byte before the report is signed.
	Mutate func(raw []byte)
	// MutateSigned may change any byte of the signed report.
	MutateSigned func(raw []byte)
}

const (
	defaultVersion      = 3
	defaultPolicy       = 0x3001f
	defaultPlatformInfo = 0x25
	ecdsaP384SHA384     = 1
)

// layout is ATTESTATION_REPORT (AMD 56860, table ATTESTATION_REPORT Structure)
// in the order of its fields, encoded by encoding/binary. Package snp reads by
// offset, so the two implementations are independent.
type layout struct {
	Version, GuestSVN            uint32
	Policy                       uint64
	FamilyID, ImageID            [16]byte
	VMPL, SignatureAlgorithm     uint32
	CurrentTCB, PlatformInfo     uint64
	KeyInfo                      uint32
	_                            [4]byte
	ReportData                   snp.ReportData
	Measurement                  snp.Measurement
	HostData                     snp.HostData
	IDKeyDigest, AuthorKeyDigest [48]byte
	ReportID, ReportIDMA         [32]byte
	ReportedTCB                  uint64
	CPUID                        snp.CPUID
	_                            [21]byte
	ChipID                       snp.ChipID
	CommittedTCB                 uint64
	Current                      firmware
	Committed                    firmware
	LaunchTCB                    uint64
	LaunchMitigations            uint64
	CurrentMitigations           uint64
	_                            [152]byte
	R, S                         [72]byte
	_                            [368]byte
}

type firmware struct{ Build, Minor, Major, _ byte }

// signedSize is the length of the signed part.
const signedSize = 0x2A0

// Report returns the firmware's answer to MSG_REPORT_REQ: 1184 bytes, signed.
func (c *Chip) Report(data snp.ReportData, o Options) ([]byte, error) {
	fields := c.fields(data, o)
	raw, err := binary.Append(nil, binary.LittleEndian, fields)
	if err != nil {
		return nil, fmt.Errorf("snptest: encoding a report: %w", err)
	}
	if o.Mutate != nil {
		o.Mutate(raw)
	}
	if o.SigningKey != snp.Unsigned && !o.MaskChipKey {
		if err := c.sign(raw, snp.NewTCB(fields.ReportedTCB, c.vendor.product), o.SigningKey); err != nil {
			return nil, err
		}
	}
	if o.MutateSigned != nil {
		o.MutateSigned(raw)
	}
	return raw, nil
}

// fields returns the options' values, and the chip's where an option is not
// set.
func (c *Chip) fields(data snp.ReportData, o Options) layout {
	m, tcb := silicon[c.vendor.product], c.TCB()
	f := layout{
		Version:            orElse(o.Version, defaultVersion),
		GuestSVN:           o.GuestSVN,
		Policy:             orElse(o.Policy, defaultPolicy),
		FamilyID:           o.FamilyID,
		ImageID:            o.ImageID,
		VMPL:               o.VMPL,
		SignatureAlgorithm: orElse(o.SignatureAlgorithm, ecdsaP384SHA384),
		CurrentTCB:         override(o.CurrentTCB, tcb).Raw(),
		PlatformInfo:       override(o.PlatformInfo, defaultPlatformInfo),
		KeyInfo:            o.keyInfo(),
		ReportData:         override(o.ReportData, data),
		Measurement:        orElse(o.Measurement, sha512.Sum384([]byte("TEST ONLY"))),
		HostData:           o.HostData,
		IDKeyDigest:        o.IDKeyDigest,
		AuthorKeyDigest:    o.AuthorKeyDigest,
		ReportID:           orElse(o.ReportID, c.reportID),
		ReportIDMA:         override(o.ReportIDMA, noMigrationAgent()),
		ReportedTCB:        override(o.ReportedTCB, tcb).Raw(),
		ChipID:             override(o.ChipID, c.id),
		CommittedTCB:       override(o.CommittedTCB, tcb).Raw(),
		Current:            encodeFirmware(override(o.CurrentVersion, m.firmware)),
		Committed:          encodeFirmware(override(o.CommittedVersion, m.firmware)),
		LaunchTCB:          override(o.LaunchTCB, tcb).Raw(),
	}
	if f.Version >= 3 {
		f.CPUID = override(o.CPUID, m.cpuid)
	}
	if f.Version >= 5 {
		f.LaunchMitigations, f.CurrentMitigations = o.LaunchMitigations, o.CurrentMitigations
	}
	return f
}

// keyInfo packs bit 0 AUTHOR_KEY_EN, bit 1 MASK_CHIP_KEY, bits 4:2 SIGNING_KEY.
func (o Options) keyInfo() uint32 {
	info := uint32(o.SigningKey) << 2
	if o.AuthorKeyEnabled {
		info |= 1
	}
	if o.MaskChipKey {
		info |= 2
	}
	return info
}

// noMigrationAgent returns REPORT_ID_MA of a guest without a migration agent.
func noMigrationAgent() (id [32]byte) {
	for i := range id {
		id[i] = 0xff
	}
	return id
}

func encodeFirmware(v snp.FirmwareVersion) firmware {
	return firmware{Build: v.Build, Minor: v.Minor, Major: v.Major}
}

// sign writes R and S of ECDSA P-384 with SHA-384, little-endian.
func (c *Chip) sign(raw []byte, reported snp.TCB, kind snp.SigningKey) error {
	derive := c.vcek
	if kind == snp.VLEK {
		derive = c.vlek
	}
	key, err := derive(reported)
	if err != nil {
		return err
	}
	digest := sha512.Sum384(raw[:signedSize])
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return fmt.Errorf("snptest: signing a report: %w", err)
	}
	for i, component := range [][]byte{r.FillBytes(make([]byte, 72)), s.FillBytes(make([]byte, 72))} {
		slices.Reverse(component)
		copy(raw[signedSize+72*i:], component)
	}
	return nil
}

// override returns *value, or truth if value is nil.
func override[T any](value *T, truth T) T {
	if value == nil {
		return truth
	}
	return *value
}
