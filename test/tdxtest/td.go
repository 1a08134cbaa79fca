package tdxtest

import (
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"

	"skr/attest/tdx"
)

// TD is a trust domain. The zero value is one of Azure's: no RTMR, and SEPT_VE_DISABLE set.
type TD struct {
	// TEETCBSVN and TEETCBSVN2 are zero for module 1, version 7.
	TEETCBSVN, TEETCBSVN2                                          tdx.SVN
	MRSEAM, MRSIGNERSEAM, MRTD, MRCONFIGID, MROWNER, MROWNERCONFIG tdx.Measurement
	RTMRs                                                          [4]tdx.Measurement
	SEAMAttributes, XFAM                                           uint64
	// Attributes are nil for those of Azure.
	Attributes *tdx.Attributes
	ReportData tdx.ReportData
	// ServiceTD is the hash of bound service TDs. A report with one has version 1.
	ServiceTD tdx.Measurement
}

// Azure's values (six quotes of 2023 to 2026).
var (
	azureSVN        = tdx.SVN{7, 1, 3}
	azureAttributes = tdx.Attributes(1 << 28)
	azureXFAM       = uint64(0x618e7)
)

func (t TD) complete() TD {
	if t.TEETCBSVN == (tdx.SVN{}) {
		t.TEETCBSVN = azureSVN
	}
	if t.TEETCBSVN2 == (tdx.SVN{}) {
		t.TEETCBSVN2 = t.TEETCBSVN
	}
	if t.Attributes == nil {
		t.Attributes = &azureAttributes
	}
	if t.XFAM == 0 {
		t.XFAM = azureXFAM
	}
	return t
}

// Report returns TDREPORT_STRUCT of the TD, with a random MAC.
func (t TD) Report() []byte {
	t = t.complete()
	raw := make([]byte, tdx.ReportSize)
	raw[0] = 0x81
	if !t.ServiceTD.IsZero() {
		raw[2] = 1
	}
	copy(raw[128:], t.ReportData[:])
	_, _ = rand.Read(raw[224:256]) // never fails
	copy(raw[256:], []byte{0xff, 1, 3})
	copy(raw[264:], t.TEETCBSVN[:])
	copy(raw[280:], t.MRSEAM[:])
	copy(raw[328:], t.MRSIGNERSEAM[:])
	binary.LittleEndian.PutUint64(raw[376:], t.SEAMAttributes)
	copy(raw[384:], t.TEETCBSVN2[:])
	binary.LittleEndian.PutUint64(raw[512:], uint64(*t.Attributes))
	binary.LittleEndian.PutUint64(raw[520:], t.XFAM)
	for i, m := range []tdx.Measurement{t.MRTD, t.MRCONFIGID, t.MROWNER, t.MROWNERCONFIG, t.RTMRs[0], t.RTMRs[1], t.RTMRs[2], t.RTMRs[3], t.ServiceTD} {
		copy(raw[528+48*i:], m[:])
	}
	Rehash(raw)
	return raw
}

// Rehash replaces the hashes of a changed report.
func Rehash(report []byte) {
	tcb, info := sha512.Sum384(report[256:495]), sha512.Sum384(report[512:])
	copy(report[32:], tcb[:])
	copy(report[80:], info[:])
}

// bodyOf returns the quote body of a TD report; wide is that of TDX 1.5.
func bodyOf(report []byte, wide bool) []byte {
	size := 584
	if wide {
		size = 648
	}
	body := make([]byte, size)
	copy(body, report[264:384])          // TEE_TCB_SVN to SEAMATTRIBUTES
	copy(body[120:], report[512:912])    // TDATTRIBUTES to RTMR3
	copy(body[520:584], report[128:192]) // REPORTDATA
	if wide {
		copy(body[584:600], report[384:400])
		copy(body[600:], report[912:960])
	}
	return body
}
