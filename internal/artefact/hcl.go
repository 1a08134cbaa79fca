package artefact

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"skr/attest/snp"
	"skr/internal/object"
)

// Layout of an HCL report, which the paravisor of an Azure confidential machine
// leaves in the TPM's NV index 0x01400001; integers are little-endian (microsoft/openvmm,
// openhcl_attestation_protocol, igvm_attest/get.rs). The index is longer: zeros follow.
const (
	hclMagic       = "HCLA"
	hclVersion     = 4    // u32, 1 or 2
	hclHardware    = 32   // 1184 bytes: an SNP report, or a shorter TDX report and zeros
	hclDataSize    = 1216 // u32, of what begins here
	hclDataVersion = 1220 // u32, 1
	hclType        = 1224 // u32
	hclHash        = 1228 // u32, 1: SHA-256
	hclClaimsSize  = 1232 // u32
	hclClaims      = 1236 // runtime claims, JSON
	hclDataHeader  = hclClaims - hclDataSize
	hclSHA256      = 1
	hclTypeSNP     = 2
)

// hclTypes are the values of the report type.
var hclTypes = map[uint32]string{1: "VBS", hclTypeSNP: "SEV-SNP", 3: "Trusted Launch", 4: "TDX", 5: "Arm CCA"}

// hclReport is the hardware's report with what it is over.
type hclReport struct {
	version, kind uint32
	report        *snp.Report // nil on other hardware
	claims        []byte      // the exact bytes that REPORT_DATA binds
	keys          keySet
}

func readHCL(in input) (content, error) {
	if !strings.HasPrefix(string(in.raw), hclMagic) || in.text != nil {
		return nil, errOther
	}
	return parseHCL(in.raw)
}

func parseHCL(raw []byte) (*hclReport, error) {
	if len(raw) < hclClaims {
		return nil, fmt.Errorf("it has %d bytes, at least %d are needed", len(raw), hclClaims)
	}
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(raw[at:]) }
	size := uint64(u32(hclClaimsSize))
	switch {
	case u32(hclDataVersion) != 1:
		return nil, fmt.Errorf("its runtime data has version %d, want 1", u32(hclDataVersion))
	case u32(hclHash) != hclSHA256:
		return nil, fmt.Errorf("its hash type is %d, want 1 (SHA-256)", u32(hclHash))
	case uint64(u32(hclDataSize)) != hclDataHeader+size || hclClaims+size > uint64(len(raw)):
		return nil, errors.New("the lengths in it contradict each other")
	}
	h := &hclReport{version: u32(hclVersion), kind: u32(hclType), claims: raw[hclClaims : hclClaims+size]}
	return h, h.parse(raw[hclHardware:hclDataSize])
}

// parse reads the two parts.
func (h *hclReport) parse(hardware []byte) (err error) {
	if h.kind == hclTypeSNP {
		if h.report, err = snp.Parse(hardware); err != nil {
			return err
		}
	}
	claims, err := object.Parse(h.claims)
	if err != nil {
		return fmt.Errorf("its runtime claims: it %w", err)
	}
	h.keys = keySet{claims}
	return nil
}

func (h *hclReport) evidence() Evidence { return Evidence{Report: h.report, RuntimeData: h.claims} }

func (h *hclReport) sections(now time.Time) []Section {
	s := Section{Title: "HCL report"}
	s.add("version", decimal(h.version), "of the header")
	s.add("type", decimal(h.kind), "hardware: "+h.hardware())
	sections := append([]Section{s}, h.keys.sections(now)...)
	if h.report != nil {
		sections = append(sections, report{h.report, h.report.Product()}.sections(now)...)
	}
	return sections
}

func (h *hclReport) hardware() string {
	if name, known := hclTypes[h.kind]; known {
		return name
	}
	return "unknown"
}
