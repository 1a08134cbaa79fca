package inspect

import (
	"fmt"

	"skr/attest/vtpm"
)

// hardwareError is of evidence of a machine without SEV-SNP.
type hardwareError struct {
	what     string
	hardware vtpm.Hardware
}

// OtherHardware is the error of an HCL report that holds no SEV-SNP report. It has an
// Advice.
func OtherHardware(hardware vtpm.Hardware) error {
	return &hardwareError{"the HCL report", hardware}
}

func (e *hardwareError) Error() string {
	return fmt.Sprintf("%s is of the hardware %s, which has no SEV-SNP report", e.what, e.hardware)
}

// Advice says what can be done with such evidence.
func (e *hardwareError) Advice() string {
	switch e.hardware {
	case vtpm.TDX:
		return "skr verifies SEV-SNP and not Intel TDX: let Azure Attestation appraise this machine, and verify its token with skrctl token verify"
	case vtpm.TrustedLaunch:
		return "a Trusted Launch machine has no report: verify its quote with skrctl vtpm verify and ak: certificate in the policy"
	}
	return "skr verifies SEV-SNP alone: take the evidence on an SEV-SNP machine"
}

// named is content that tells more of itself than its kind does.
type named interface{ name() string }

// String names the artefact without its content, for logs and errors.
func (a Artefact) String() string {
	if n, ok := a.content.(named); ok && n.name() != "" {
		return n.name()
	}
	return a.kind.Name()
}

// name tells hardware other than SEV-SNP.
func (h hclReport) name() string {
	if h.Hardware() == vtpm.SEVSNP {
		return ""
	}
	return HCLReport.Name() + " of a " + h.Hardware().String() + " machine"
}

// name tells evidence of TDX, which no part endorses as SEV-SNP.
func (b bundle) name() string {
	isTDX := false
	for _, p := range b {
		if e := p.evidence(); e.Report != nil {
			return ""
		}
		hcl, _ := p.found.content.(hclReport)
		isTDX = isTDX || p.err == nil && (p.found.kind == TDXQuote || p.found.kind == TDXReport || hcl.HCLReport != nil && hcl.Hardware() == vtpm.TDX)
	}
	if !isTDX {
		return ""
	}
	return "evidence of a TDX machine"
}
