package tdx

import (
	"bytes"
	"crypto/sha512"
	"fmt"
)

// ReportSize is the length of TDREPORT_STRUCT in bytes.
const ReportSize = repReportLength

// Versions of TDREPORT_STRUCT: 1 has SERVTD_HASH (ABI, table REPORTTYPE).
const maxReportVersion = 1

// Report is TDREPORT_STRUCT, what the processor says about a TD: REPORTMACSTRUCT,
// TEE_TCB_INFO and TDINFO_STRUCT. It is made by [ParseReport] and is immutable. Its MAC can
// be checked by the processor that made it only, so a report alone proves nothing.
type Report struct{ raw [ReportSize]byte }

// ParseReport checks the form of raw and copies it. It accepts exactly [ReportSize] bytes of
// type 0x81, subtype 0, version 0 or 1, whose two hashes are those of its parts. The error
// wraps [ErrMalformed].
func ParseReport(raw []byte) (*Report, error) {
	r, err := parseReport(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: TD report: %w", ErrMalformed, err)
	}
	return r, nil
}

func parseReport(raw []byte) (*Report, error) {
	if len(raw) != ReportSize {
		return nil, fmt.Errorf("%d bytes, want %d", len(raw), ReportSize)
	}
	switch {
	case raw[repType] != teeTDX:
		return nil, fmt.Errorf("type %#02x, want 0x81 (TDX)", raw[repType])
	case raw[repSubtype] != 0:
		return nil, fmt.Errorf("subtype %d, want 0", raw[repSubtype])
	case raw[repVersion] > maxReportVersion:
		return nil, fmt.Errorf("version %d, want 0 or 1", raw[repVersion])
	case len(bytes.Trim(raw[repReserved:repCPUSVN], "\x00")) > 0:
		return nil, fmt.Errorf("reserved bytes %d to %d are not zero", repReserved, repCPUSVN-1)
	}
	if got := sha512.Sum384(raw[repTCBInfo:repTCBInfoEnd]); got != [48]byte(raw[repTCBHash:]) {
		return nil, fmt.Errorf("TEE_TCB_INFO_HASH is %x, the content has %x", raw[repTCBHash:][:48], got)
	}
	if got := sha512.Sum384(raw[repInfo:]); got != [48]byte(raw[repInfoHash:]) {
		return nil, fmt.Errorf("TEE_INFO_HASH is %x, the content has %x", raw[repInfoHash:][:48], got)
	}
	return &Report{[ReportSize]byte(raw)}, nil
}

// IsReport reports whether raw has the size and the type of a TD report.
func IsReport(raw []byte) bool {
	return len(raw) == ReportSize && raw[repType] == teeTDX && raw[repSubtype] == 0 && len(bytes.Trim(raw[repReserved:repCPUSVN], "\x00")) == 0
}

// Raw returns a copy of the whole report.
func (r *Report) Raw() []byte { return bytes.Clone(r.raw[:]) }

// Version returns the version of the structure, 0 or 1.
func (r *Report) Version() uint8 { return r.raw[repVersion] }

// CPUSVN returns the security version of the processor.
func (r *Report) CPUSVN() [16]byte { return [16]byte(r.raw[repCPUSVN:]) }

// ReportData returns the data that the software in the TD bound.
func (r *Report) ReportData() ReportData { return ReportData(r.raw[repREPORTDATA:]) }

// MAC returns the message authentication code, 32 bytes.
func (r *Report) MAC() [32]byte { return [32]byte(r.raw[repMAC:]) }

// TEETCBSVN returns the security versions of the TDX module when the TD was started.
func (r *Report) TEETCBSVN() SVN { return SVN(r.raw[repTEETCBSVN:]) }

// TEETCBSVN2 returns the security versions of the TDX module that runs now. They are zero in
// TDX 1.0.
func (r *Report) TEETCBSVN2() SVN { return SVN(r.raw[repTEETCBSVN2:]) }

// MRSEAM returns the measurement of the TDX module.
func (r *Report) MRSEAM() Measurement { return r.measurement(repMRSEAM) }

// MRSIGNERSEAM returns the signer of the TDX module. It is zero for Intel.
func (r *Report) MRSIGNERSEAM() Measurement { return r.measurement(repMRSIGNERSEAM) }

// SEAMAttributes returns the attributes of the TDX module. They are zero.
func (r *Report) SEAMAttributes() uint64 { return u64(r.raw[:], repSEAMATTRIBUTES) }

// Attributes returns ATTRIBUTES of the TD.
func (r *Report) Attributes() Attributes { return Attributes(u64(r.raw[:], repATTRIBUTES)) }

// XFAM returns the extended features of the processor that the TD may use.
func (r *Report) XFAM() uint64 { return u64(r.raw[:], repXFAM) }

// MRTD returns the measurement of the TD at its start: on Azure, of the paravisor.
func (r *Report) MRTD() Measurement { return r.measurement(repMRTD) }

// MRCONFIGID returns what the owner chose to identify the configuration.
func (r *Report) MRCONFIGID() Measurement { return r.measurement(repMRCONFIGID) }

// MROWNER returns what the owner chose to identify itself.
func (r *Report) MROWNER() Measurement { return r.measurement(repMROWNER) }

// MROWNERCONFIG returns what the owner chose to identify its configuration.
func (r *Report) MROWNERCONFIG() Measurement { return r.measurement(repMROWNERCONF) }

// RTMRs returns RTMR0 to RTMR3, which software in the TD extends. They are zero on Azure.
func (r *Report) RTMRs() [4]Measurement { return rtmrs(r.raw[:], repRTMR) }

// SERVTDHash returns the hash of the service TDs that are bound to the TD, and false before
// version 1.
func (r *Report) SERVTDHash() (Measurement, bool) {
	if r.Version() == 0 {
		return Measurement{}, false
	}
	return r.measurement(repSERVTDHASH), true
}

// String describes the report for logs, without its evidence.
func (r *Report) String() string {
	return fmt.Sprintf("TD report version %d, TEE_TCB_SVN %s", r.Version(), r.TEETCBSVN())
}

func (r *Report) measurement(at int) Measurement { return Measurement(r.raw[at:]) }
