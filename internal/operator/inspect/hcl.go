package inspect

import (
	"slices"
	"time"

	"skr/attest/vtpm"
	"skr/internal/strictjson"
)

// hclReportAt is where the hardware's report begins.
const hclReportAt = 32

// hclReport is the hardware's report with what it is over.
type hclReport struct{ *vtpm.HCLReport }

func readHCL(in input) (content, error) {
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
	e := Evidence{Report: h.Report(), RuntimeData: h.Claims().Raw()}
	if user, told := h.Claims().UserData(); told {
		e.UserData = user
	}
	if e.Report == nil {
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
		s.add("status", decimal(status), "of the header, 0 in known reports; nothing rests on it")
	}
	s.add("type", decimal(uint32(h.Hardware())), "hardware: "+h.Hardware().String())
	if h.Hardware() == vtpm.TDX {
		return slices.Concat([]Section{s}, tdReport(h.HCLReport.Raw()[hclReportAt:]).sections(now), h.keys().sections(now))
	}
	sections := append([]Section{s}, h.keys().sections(now)...)
	if report := h.Report(); report != nil {
		sections = append(sections, reportOf(report).sections(now)...)
	}
	return sections
}
