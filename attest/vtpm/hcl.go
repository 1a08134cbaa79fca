package vtpm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"skr/attest/snp"
	"skr/attest/tdx"
)

// Layout of an HCL report. Integers are little-endian (microsoft/openvmm,
// openhcl_attestation_protocol, igvm_attest/get.rs). The field at 8 is not used, because that
// source and Microsoft's documentation define it differently.
const (
	hclMagic       = "HCLA"
	hclVersion     = 4    // u32, 1 or 2
	hclStatus      = 16   // u32, 0 in all known reports; not checked
	hclHardware    = 32   // 1184 bytes: an SNP report, or a shorter TDX report and zeros
	hclDataSize    = 1216 // u32, size of the data from here on
	hclDataVersion = 1220 // u32, 1
	hclType        = 1224 // u32
	hclHash        = 1228 // u32, 1: SHA-256
	hclClaimsSize  = 1232 // u32
	hclClaims      = 1236 // runtime claims, JSON
	hclDataHeader  = hclClaims - hclDataSize
	hclSHA256      = 1

	// maxHCL bounds the NV index. Sizes of 2048, 2600 and 2900 bytes are known.
	maxHCL = 64 << 10
)

// HCLReport is the processor's report with the claims that it covers, as the paravisor writes
// it to the NV index 0x01400001. It is made only by ParseHCL and is immutable. Nothing in it
// has been verified.
type HCLReport struct {
	raw      []byte
	version  uint32
	status   uint32
	hardware Hardware
	report   *snp.Report
	tdReport *tdx.Report
	claims   *Claims
}

// IsHCL reports whether data begins as an HCL report.
func IsHCL(data []byte) bool {
	return len(data) >= len(hclMagic) && string(data[:len(hclMagic)]) == hclMagic
}

// ParseHCL parses the content of the NV index, of any size up to 64 KiB. Lengths in the report
// determine how much of it is used.
func ParseHCL(index []byte) (*HCLReport, error) {
	h, err := parseHCL(index)
	if err != nil {
		return nil, fmt.Errorf("parsing the HCL report: %w", err)
	}
	return h, nil
}

func parseHCL(raw []byte) (*HCLReport, error) {
	if err := checkHCL(raw); err != nil {
		return nil, err
	}
	end := hclClaims + uint64(hclField(raw, hclClaimsSize))
	h := &HCLReport{
		raw: bytes.Clone(raw[:end]), version: hclField(raw, hclVersion), status: hclField(raw, hclStatus),
		hardware: Hardware(hclField(raw, hclType)),
	}
	if err := h.parseHardware(raw); err != nil {
		return nil, err
	}
	claims, err := parseClaims(raw[hclClaims:end])
	if err != nil {
		return nil, fmt.Errorf("its runtime claims: %w", err)
	}
	h.claims = claims
	return h, nil
}

// parseHardware parses the processor's report.
func (h *HCLReport) parseHardware(raw []byte) (err error) {
	switch h.hardware {
	case SEVSNP:
		h.report, err = snp.Parse(raw[hclHardware:hclDataSize])
	case TDX:
		h.tdReport, err = tdx.ParseReport(raw[hclHardware:][:tdx.ReportSize])
	}
	return err
}

func hclField(raw []byte, at int) uint32 { return binary.LittleEndian.Uint32(raw[at:]) }

func checkHCL(raw []byte) error {
	if !IsHCL(raw) {
		return fmt.Errorf("it does not begin with %s", hclMagic)
	}
	if len(raw) < hclClaims || len(raw) > maxHCL {
		return fmt.Errorf("it has %d bytes, at least %d are needed and at most %d allowed", len(raw), hclClaims, maxHCL)
	}
	size := uint64(hclField(raw, hclClaimsSize))
	switch version := hclField(raw, hclVersion); {
	case version != 1 && version != 2:
		return fmt.Errorf("its header has version %d, want 1 or 2", version)
	case hclField(raw, hclDataVersion) != 1:
		return fmt.Errorf("its runtime data has version %d, want 1", hclField(raw, hclDataVersion))
	case hclField(raw, hclHash) != hclSHA256:
		return fmt.Errorf("its hash type is %d, want 1 (SHA-256)", hclField(raw, hclHash))
	case uint64(hclField(raw, hclDataSize)) != hclDataHeader+size || hclClaims+size > uint64(len(raw)):
		return errors.New("the lengths in it contradict each other")
	}
	return nil
}

// Raw returns the report without the zeros after it in the index.
func (h *HCLReport) Raw() []byte { return bytes.Clone(h.raw) }

// Version returns the version of the header, 1 or 2.
func (h *HCLReport) Version() uint32 { return h.version }

// Status returns the status in the header. It is informative only.
func (h *HCLReport) Status() uint32 { return h.status }

// Hardware returns the origin of the report.
func (h *HCLReport) Hardware() Hardware { return h.hardware }

// Report returns the processor's report; nil for hardware other than SEV-SNP.
func (h *HCLReport) Report() *snp.Report { return h.report }

// TDReport returns the processor's report; nil for hardware other than TDX. It proves nothing
// without the quote that was made from it: see [tdx.Quote.CheckReport].
func (h *HCLReport) TDReport() *tdx.Report { return h.tdReport }

// Claims returns the paravisor's claims about the machine.
func (h *HCLReport) Claims() *Claims { return h.claims }

// CheckBound checks that REPORT_DATA (REPORTDATA of TDX) is the SHA-256 of the claims' exact
// bytes, followed by 32 zeros. Only then does the signature of the report, or of the quote that
// was made from it, cover the claims. Its error wraps [ErrNotBound].
func (h *HCLReport) CheckBound() error {
	var got [64]byte
	switch {
	case h.report != nil:
		got = h.report.ReportData()
	case h.tdReport != nil:
		got = h.tdReport.ReportData()
	default:
		return fmt.Errorf("%w: it is of the hardware %s, which is not supported", ErrNotBound, h.hardware)
	}
	if want := snp.Bind(h.claims.raw); got != want {
		return fmt.Errorf("%w: the report has %x, the claims need %s", ErrNotBound, got, want)
	}
	return nil
}
