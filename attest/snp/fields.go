package snp

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// ReportData is REPORT_DATA, 64 bytes that the guest chooses.
type ReportData [64]byte

// Bind returns the REPORT_DATA that binds runtimeData: its SHA-256 followed by 32
// zero bytes, as Microsoft Azure Attestation expects.
func Bind(runtimeData []byte) ReportData {
	var data ReportData
	digest := sha256.Sum256(runtimeData)
	copy(data[:], digest[:])
	return data
}

// Measurement is MEASUREMENT, the launch digest of the guest.
type Measurement [48]byte

// HostData is HOST_DATA, 32 bytes that the host sets at launch.
type HostData [32]byte

// ChipID is CHIP_ID. It is zero if the host masks it.
type ChipID [64]byte

// turinHWIDSize is the length of a Turin HWID. The other bytes of a Turin CHIP_ID
// are zero (AMD 57230, VCEK certificate, extension HWID).
const turinHWIDSize = 8

// HWID returns the part of CHIP_ID that VCEK extension 1.3.6.1.4.1.3704.1.4 and the
// URLs of AMD's Key Distribution Service contain: all 64 bytes, or the first 8 on
// Turin.
func (id ChipID) HWID(p Product) []byte {
	if p == Turin {
		return id[:turinHWIDSize]
	}
	return id[:]
}

// IsZero reports whether the host masked the chip's identity.
func (id ChipID) IsZero() bool { return id == ChipID{} }

func (d ReportData) String() string  { return hex.EncodeToString(d[:]) }
func (m Measurement) String() string { return hex.EncodeToString(m[:]) }
func (d HostData) String() string    { return hex.EncodeToString(d[:]) }
func (id ChipID) String() string     { return hex.EncodeToString(id[:]) }

// SigningKey is the SIGNING_KEY field of the key information.
type SigningKey uint8

// The signing keys; values 2 to 6 are reserved.
const (
	VCEK     SigningKey = 0 // versioned chip endorsement key
	VLEK     SigningKey = 1 // versioned loaded endorsement key, of a cloud provider
	Unsigned SigningKey = 7 // the signature is zero
)

func (k SigningKey) String() string {
	switch k {
	case VCEK:
		return "VCEK"
	case VLEK:
		return "VLEK"
	case Unsigned:
		return "unsigned"
	}
	return fmt.Sprintf("reserved %d", uint8(k))
}

// FirmwareVersion is a version of the SNP firmware.
type FirmwareVersion struct{ Major, Minor, Build uint8 }

func (v FirmwareVersion) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Build) }

// Version returns the version of the report's layout, 2 to 5.
func (r *Report) Version() uint32 { return r.u32(offVersion) }

// GuestSVN returns the guest's security version number, from its ID block.
func (r *Report) GuestSVN() uint32 { return r.u32(offGuestSVN) }

// Policy returns the policy that the guest was launched with.
func (r *Report) Policy() GuestPolicy { return GuestPolicy(r.u64(offPolicy)) }

// FamilyID returns the family of the guest, from its ID block.
func (r *Report) FamilyID() [16]byte { return [16]byte(r.raw[offFamilyID:]) }

// ImageID returns the image of the guest, from its ID block.
func (r *Report) ImageID() [16]byte { return [16]byte(r.raw[offImageID:]) }

// VMPL returns the privilege level that requested the report. 0 is the highest.
func (r *Report) VMPL() uint32 { return r.u32(offVMPL) }

// SignatureAlgorithm returns 1, ECDSA P-384 with SHA-384, the only value that Parse accepts.
func (r *Report) SignatureAlgorithm() uint32 { return r.u32(offSignatureAlgo) }

// CurrentTCB returns the TCB that is running. The host may update it under a running guest.
func (r *Report) CurrentTCB() TCB { return r.tcb(offCurrentTCB) }

// ReportedTCB returns the TCB that the signing key is derived from and that the VCEK
// certificate states. The host sets it, but not above the current TCB.
func (r *Report) ReportedTCB() TCB { return r.tcb(offReportedTCB) }

// CommittedTCB returns the minimum to which the firmware can be rolled back.
func (r *Report) CommittedTCB() TCB { return r.tcb(offCommittedTCB) }

// LaunchTCB returns the TCB that was current when the guest was launched or imported.
func (r *Report) LaunchTCB() TCB { return r.tcb(offLaunchTCB) }

func (r *Report) tcb(offset int) TCB { return NewTCB(r.u64(offset), r.Product()) }

// PlatformInfo returns PLATFORM_INFO (AMD 56860, table PLATFORM_INFO Field).
func (r *Report) PlatformInfo() uint64 { return r.u64(offPlatformInfo) }

// KeyInfo returns the field that AuthorKeyEnabled, ChipKeyMasked and SigningKey decode.
func (r *Report) KeyInfo() uint32 { return r.u32(offKeyInfo) }

// AuthorKeyEnabled reports whether AUTHOR_KEY_DIGEST contains a digest.
func (r *Report) AuthorKeyEnabled() bool { return r.u32(offKeyInfo)&1 != 0 }

// ChipKeyMasked reports whether the host forbids the use of the VCEK.
func (r *Report) ChipKeyMasked() bool { return r.u32(offKeyInfo)>>1&1 != 0 }

// SigningKey returns the kind of key that signed the report.
func (r *Report) SigningKey() SigningKey { return SigningKey(r.u32(offKeyInfo) >> 2 & 7) }

// ReportData returns the data that the guest bound.
func (r *Report) ReportData() ReportData { return ReportData(r.raw[offReportData:]) }

// Measurement returns the launch digest.
func (r *Report) Measurement() Measurement { return Measurement(r.raw[offMeasurement:]) }

// HostData returns the data that the host set at launch.
func (r *Report) HostData() HostData { return HostData(r.raw[offHostData:]) }

// IDKeyDigest returns the SHA-384 of the key that signed the ID block.
func (r *Report) IDKeyDigest() [48]byte { return [48]byte(r.raw[offIDKeyDigest:]) }

// AuthorKeyDigest returns the SHA-384 of the key that certified the ID key, or zero.
func (r *Report) AuthorKeyDigest() [48]byte { return [48]byte(r.raw[offAuthorKeyDigest:]) }

// ReportID returns the identifier of this guest, which is constant for its lifetime.
func (r *Report) ReportID() [32]byte { return [32]byte(r.raw[offReportID:]) }

// ReportIDMA returns the report ID of the guest's migration agent.
func (r *Report) ReportIDMA() [32]byte { return [32]byte(r.raw[offReportIDMA:]) }

// ChipID returns the identity of the chip.
func (r *Report) ChipID() ChipID { return ChipID(r.raw[offChipID:]) }

// CurrentVersion returns the version of the firmware that is running.
func (r *Report) CurrentVersion() FirmwareVersion { return r.firmware(offCurrentVersion) }

// CommittedVersion returns the version of the firmware that is committed.
func (r *Report) CommittedVersion() FirmwareVersion { return r.firmware(offCommittedVersion) }

func (r *Report) firmware(offset int) FirmwareVersion {
	return FirmwareVersion{Build: r.raw[offset], Minor: r.raw[offset+1], Major: r.raw[offset+2]}
}

// LaunchMitigations returns LAUNCH_MIT_VECTOR, and false before version 5.
func (r *Report) LaunchMitigations() (uint64, bool) { return r.mitigations(offLaunchMit) }

// CurrentMitigations returns CURRENT_MIT_VECTOR, and false before version 5.
func (r *Report) CurrentMitigations() (uint64, bool) { return r.mitigations(offCurrentMit) }

func (r *Report) mitigations(offset int) (uint64, bool) {
	if r.Version() < version5 {
		return 0, false
	}
	return r.u64(offset), true
}
