package vtpm

// Hardware is the origin of the report in an HCL report (igvm_attest/get.rs,
// IgvmAttestReportType).
type Hardware uint32

// The kinds of hardware.
const (
	VBS           Hardware = 1
	SEVSNP        Hardware = 2
	TrustedLaunch Hardware = 3
	TDX           Hardware = 4
	CCA           Hardware = 5
)

func (h Hardware) String() string {
	switch h {
	case VBS:
		return "VBS"
	case SEVSNP:
		return "SEV-SNP"
	case TrustedLaunch:
		return "Trusted Launch"
	case TDX:
		return "TDX"
	case CCA:
		return "Arm CCA"
	}
	return "unknown"
}
