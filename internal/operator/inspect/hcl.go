package inspect

import (
	"fmt"
	"slices"
	"time"

	"skr/attest/vtpm"
	"skr/internal/strictjson"
)

// hclReport is the hardware's report with the claims that it binds.
type hclReport struct{ *vtpm.HCLReport }

func recogniseHCL(in input) (content, error) {
	if !vtpm.IsHCL(in.raw) || in.text != nil {
		return nil, errOther
	}
	parsed, err := vtpm.ParseHCL(in.raw)
	if err != nil {
		return nil, err
	}
	return hclReport{parsed}, nil
}

func (h hclReport) evidence() Evidence {
	e := Evidence{Report: h.Report(), TDReport: h.TDReport(), RuntimeData: h.Claims().Raw()}
	if user, told := h.Claims().UserData(); told {
		e.UserData = user
	}
	if e.Report == nil && e.TDReport == nil {
		e.ReportErr = OtherHardware(h.Hardware())
	}
	return e
}

// keys are those that the claims hold. ParseHCL has read the claims as strictjson does.
func (h hclReport) keys() keySet {
	claims, _ := strictjson.Parse(h.Claims().Raw())
	return keySet{claims}
}

func (h hclReport) boot() Boot { return Boot{HCL: h.HCLReport} }

func (h hclReport) sections(now time.Time) []Section {
	s := Section{Title: "HCL report"}
	s.add("version", decimal(h.Version()), "of the header")
	if status := h.Status(); status != 0 {
		s.add("status", decimal(status), "of the header, 0 in known reports; nothing depends on it")
	}
	s.add("type", decimal(uint32(h.Hardware())), "hardware: "+h.Hardware().String())
	if report := h.TDReport(); report != nil {
		return slices.Concat([]Section{s}, tdReport{report}.sections(now), h.keys().sections(now))
	}
	sections := append([]Section{s}, h.keys().sections(now)...)
	if report := h.Report(); report != nil {
		sections = append(sections, reportOf(report).sections(now)...)
	}
	return sections
}

// name names hardware other than SEV-SNP.
func (h hclReport) name() string {
	if h.Hardware() == vtpm.SEVSNP {
		return ""
	}
	return HCLReport.Name() + " of a " + h.Hardware().String() + " machine"
}

// hardwareError is the error for evidence of a machine without SEV-SNP and TDX.
type hardwareError struct{ hardware vtpm.Hardware }

// OtherHardware returns the error for an HCL report without a report of SEV-SNP or TDX. It has a
// method Advice.
func OtherHardware(hardware vtpm.Hardware) error {
	return &hardwareError{hardware}
}

func (e *hardwareError) Error() string {
	return fmt.Sprintf("the HCL report is of the hardware %s, which has no SEV-SNP report", e.hardware)
}

// Advice returns what to do with such evidence.
func (e *hardwareError) Advice() string {
	if e.hardware == vtpm.TrustedLaunch {
		return "a Trusted Launch machine has no report: verify its quote with skrctl verify and ak: certificate in the policy"
	}
	return "skr verifies SEV-SNP and TDX: take the evidence on such a machine"
}
