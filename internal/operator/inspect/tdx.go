package inspect

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"skr/attest/vtpm"
)

// Layout of an ECDSA quote for TDX; integers are little-endian ("Intel TDX DCAP: Quote
// Generation Library and Quote Verification Library", revision 0.9, appendix A.3). Quotes
// of version 5 have type and size of the body before it.
const (
	tdxTEE        = 0x81 // u32 at 4
	tdxHeader     = 48
	tdxBody10     = 584 // bytes of a body of TDX 1.0
	tdxBody15     = 648
	tdxAttributes = 120
	tdxMRTD       = 136
	tdxRTMR       = 328
	tdxReportData = 520
)

// tdxVendor is at 12: Intel's QE.
var tdxVendor = []byte{0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07}

// Layout of a TDREPORT ("Intel TDX Module ABI Specification", TDREPORT_STRUCT).
const (
	tdReportSize       = 1024
	tdReportData       = 128
	tdReportAttributes = 512
	tdReportMRTD       = 528
	tdReportRTMR       = 720
)

// tdx is a TDX quote or report. It is shown and not verified.
type tdx struct {
	title                  string
	version                uint16 // of the quote; 0 for a report
	attributes             uint64
	mrtd, rtmr, reportData []byte
}

func recogniseTDXQuote(in input) (content, error) {
	raw, u16 := in.raw, binary.LittleEndian.Uint16
	if len(raw) < tdxHeader || binary.LittleEndian.Uint32(raw[4:]) != tdxTEE || !bytes.Equal(raw[12:28], tdxVendor) {
		return nil, errOther
	}
	q := tdx{title: "TDX quote, which skr does not verify", version: u16(raw)}
	body := raw[tdxHeader:]
	switch {
	case q.version == 4:
	case q.version == 5 && len(body) > 6:
		if size := binary.LittleEndian.Uint32(body[2:]); size != tdxBody10 && size != tdxBody15 {
			return nil, fmt.Errorf("its body has %d bytes, want %d or %d", size, tdxBody10, tdxBody15)
		}
		body = body[6:]
	default:
		return nil, fmt.Errorf("its version is %d, want 4 or 5", q.version)
	}
	if len(body) < tdxBody10 {
		return nil, fmt.Errorf("it has %d bytes and ends too early", len(raw))
	}
	q.attributes = binary.LittleEndian.Uint64(body[tdxAttributes:])
	q.mrtd, q.rtmr, q.reportData = body[tdxMRTD:][:48], body[tdxRTMR:][:4*48], body[tdxReportData:][:64]
	return q, nil
}

// recogniseTDXReport knows a TDREPORT by its size, its type and the reserved bytes behind it.
func recogniseTDXReport(in input) (content, error) {
	raw := in.raw
	if len(raw) != tdReportSize || raw[0] != tdxTEE || raw[1] != 0 || len(bytes.Trim(raw[3:16], "\x00")) > 0 {
		return nil, errOther
	}
	return tdReport(raw), nil
}

func tdReport(raw []byte) tdx {
	return tdx{
		title: "TDX report, which only the processor that made it can verify", attributes: binary.LittleEndian.Uint64(raw[tdReportAttributes:]),
		mrtd: raw[tdReportMRTD:][:48], rtmr: raw[tdReportRTMR:][:4*48], reportData: raw[tdReportData:][:64],
	}
}

func (t tdx) evidence() Evidence {
	return Evidence{ReportErr: &hardwareError{"the TDX " + t.form(), vtpm.TDX}}
}

func (t tdx) form() string {
	if t.version > 0 {
		return "quote"
	}
	return "report"
}

func (t tdx) sections(time.Time) []Section {
	s := Section{Title: t.title}
	if t.version > 0 {
		s.add("version", strconv.FormatUint(uint64(t.version), 10), "layout of the quote")
	}
	s.add("MRTD", hex.EncodeToString(t.mrtd), "measurement of the trust domain at its start: on Azure of the paravisor")
	for i := range 4 {
		s.add(fmt.Sprintf("RTMR%d", i), hex.EncodeToString(t.rtmr[48*i:][:48]), "measured at run time; zeros on Azure, whose vTPM measures instead")
	}
	s.add("REPORTDATA", hex.EncodeToString(t.reportData), "what the paravisor chose: the SHA-256 of the runtime claims and 32 zeros")
	s.add("ATTRIBUTES", fmt.Sprintf("%016x", t.attributes), "of the trust domain")
	s.addFlag("DEBUG", t.attributes&1 != 0, [2]string{"the host may not debug the guest", "THE HOST MAY READ AND WRITE THE GUEST'S MEMORY"})
	return []Section{s}
}
