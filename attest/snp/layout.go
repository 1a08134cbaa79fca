package snp

import "fmt"

// Offsets of AMD 56860, table ATTESTATION_REPORT Structure. Integers are
// little-endian.
const (
	offVersion          = 0x000 // u32
	offGuestSVN         = 0x004 // u32
	offPolicy           = 0x008 // u64, see GuestPolicy
	offFamilyID         = 0x010 // 16 bytes
	offImageID          = 0x020 // 16 bytes
	offVMPL             = 0x030 // u32
	offSignatureAlgo    = 0x034 // u32
	offCurrentTCB       = 0x038 // u64, see TCB
	offPlatformInfo     = 0x040 // u64, table PLATFORM_INFO Field
	offKeyInfo          = 0x048 // u32: bit 0 AUTHOR_KEY_EN, 1 MASK_CHIP_KEY, 4:2 SIGNING_KEY
	offKeyInfoEnd       = 0x04C
	offReportData       = 0x050 // 64 bytes
	offMeasurement      = 0x090 // 48 bytes
	offHostData         = 0x0C0 // 32 bytes
	offIDKeyDigest      = 0x0E0 // 48 bytes
	offAuthorKeyDigest  = 0x110 // 48 bytes
	offReportID         = 0x140 // 32 bytes
	offReportIDMA       = 0x160 // 32 bytes
	offReportedTCB      = 0x180 // u64
	offCPUID            = 0x188 // family, model, stepping: one byte each, from version 3
	offCPUIDEnd         = 0x18B
	offChipID           = 0x1A0 // 64 bytes
	offCommittedTCB     = 0x1E0 // u64
	offCurrentVersion   = 0x1E8 // build, minor, major: one byte each
	offCommittedVersion = 0x1EC // build, minor, major: one byte each
	offLaunchTCB        = 0x1F0 // u64
	offLaunchMit        = 0x1F8 // u64, from version 5
	offCurrentMit       = 0x200 // u64, from version 5
	offMitEnd           = 0x208
	offSignature        = 0x2A0 // R, 72 bytes
	offSignatureS       = 0x2E8 // S, 72 bytes
	offSignatureEnd     = 0x330
)

// Versions of the report. 56860 describes 2, 3 (the CPUID fields) and 5 (the
// mitigation vectors, revision 1.58). Milan firmware 1.55.31 emits version 4, which
// no public revision describes. Its public fields have the offsets of version 3, and
// its signature covers the same bytes (github.com/virtee/sev, pull request 307;
// google/go-sev-guest, pull request 158).
const (
	version2 = 2
	version3 = 3
	version4 = 4
	version5 = 5
)

// ecdsaP384SHA384 is the only value of SIGNATURE_ALGO (AMD 56860, chapter on
// digital signatures).
const ecdsaP384SHA384 = 1

func (r *Report) checkVersion() error {
	if v := r.Version(); v < version2 || v > version5 {
		return fmt.Errorf("version %d, want 2 to 5", v)
	}
	return nil
}

func (r *Report) checkAlgorithm() error {
	if a := r.SignatureAlgorithm(); a != ecdsaP384SHA384 {
		return fmt.Errorf("signature algorithm %d, want 1 (ECDSA P-384 with SHA-384)", a)
	}
	return nil
}

func (r *Report) checkKeyInfo() error {
	if info := r.u32(offKeyInfo); info>>5 != 0 {
		return fmt.Errorf("reserved bits of the key information are set: %#x", info)
	}
	switch k := r.SigningKey(); k {
	case VCEK, VLEK, Unsigned:
		return nil
	default:
		return fmt.Errorf("signing key %d is reserved", uint8(k))
	}
}

// checkReserved requires reserved bytes to be zero, as the specification does. All
// public reports of real hardware comply. It does not check bits of POLICY and
// PLATFORM_INFO, because firmware has added some without a new version.
func (r *Report) checkReserved() error {
	for _, region := range r.reserved() {
		for offset := region[0]; offset < region[1]; offset++ {
			if r.raw[offset] != 0 {
				return fmt.Errorf("reserved byte %#x of version %d is not zero", offset, r.Version())
			}
		}
	}
	return nil
}

// reserved lists [from, to) of the bytes that are reserved in this version.
func (r *Report) reserved() [][2]int {
	cpuid, mitigations := offCPUIDEnd, offLaunchMit
	if r.Version() == version2 {
		cpuid = offCPUID
	}
	// Version 4 may use the bytes of version 5's mitigation vectors. They are
	// accepted and ignored.
	if r.Version() >= version4 {
		mitigations = offMitEnd
	}
	return [][2]int{
		{offKeyInfoEnd, offReportData},
		{cpuid, offChipID},
		{offCurrentVersion + 3, offCommittedVersion},
		{offCommittedVersion + 3, offLaunchTCB},
		{mitigations, offSignature},
		{offSignatureEnd, ReportSize},
	}
}
