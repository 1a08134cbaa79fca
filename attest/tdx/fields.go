package tdx

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// ReportData is REPORTDATA, 64 bytes that the software in the TD chooses.
type ReportData [64]byte

// Bind returns the REPORTDATA that binds data: its SHA-256 followed by 32 zero bytes, as
// Azure's paravisor and Microsoft Azure Attestation have it.
func Bind(data []byte) ReportData {
	var bound ReportData
	digest := sha256.Sum256(data)
	copy(bound[:], digest[:])
	return bound
}

// Measurement is a SHA-384 digest: MRTD, an RTMR, MRSEAM and others. The owner's fields
// (MRCONFIGID, MROWNER, MROWNERCONFIG) may hold any 48 bytes.
type Measurement [48]byte

// IsZero reports whether all bytes are zero.
func (m Measurement) IsZero() bool { return m == Measurement{} }

// SVN is TEE_TCB_SVN: the security version numbers of 16 components of the TDX module's TCB.
type SVN [16]byte

// Module returns the security version and the major version of the TDX module, the first
// two components (DCAP A.3.2, and Intel's API of TCB info, version 4, tdxModuleIdentities).
func (s SVN) Module() (svn, major uint8) { return s[0], s[1] }

func (d ReportData) String() string  { return hex.EncodeToString(d[:]) }
func (m Measurement) String() string { return hex.EncodeToString(m[:]) }
func (s SVN) String() string         { return hex.EncodeToString(s[:]) }

func u16(raw []byte, at int) uint16 { return binary.LittleEndian.Uint16(raw[at:]) }
func u32(raw []byte, at int) uint32 { return binary.LittleEndian.Uint32(raw[at:]) }
func u64(raw []byte, at int) uint64 { return binary.LittleEndian.Uint64(raw[at:]) }
