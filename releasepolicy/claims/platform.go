package claims

import (
	"fmt"
	"slices"
	"strings"
)

// Platform is where a workload runs. It decides which protocol attests the workload, and so
// which claims its tokens have.
type Platform string

// The platforms.
const (
	ACI           Platform = "aci"            // confidential container group, SevSnpVm
	AKSKata       Platform = "aks-kata"       // confidential pod on AKS, SevSnpVm
	CVM           Platform = "cvm"            // confidential virtual machine or node, AzureGuest
	CVMTDX        Platform = "cvm-tdx"        // confidential virtual machine that Intel TDX isolates, AzureGuest
	TrustedLaunch Platform = "trusted-launch" // virtual machine or node with a vTPM only, AzureGuest
)

var (
	everywhere   = []Platform{ACI, AKSKata, CVM, CVMTDX, TrustedLaunch}
	containers   = []Platform{ACI, AKSKata}
	machines     = []Platform{CVM, CVMTDX, TrustedLaunch}
	confidential = []Platform{CVM, CVMTDX}
)

// ParsePlatform returns the platform of that name.
func ParsePlatform(name string) (Platform, error) {
	if p := Platform(name); slices.Contains(everywhere, p) {
		return p, nil
	}
	names := make([]string, len(everywhere))
	for i, p := range everywhere {
		names[i] = string(p)
	}
	return "", fmt.Errorf("platform %q is none of %s", name, strings.Join(names, ", "))
}

func (p Platform) String() string { return string(p) }

// IsContainer reports whether the platform's workloads are containers in a utility VM, whose
// policy HOST_DATA binds. Otherwise they are virtual machines.
func (p Platform) IsContainer() bool { return slices.Contains(containers, p) }

// IsConfidentialVM reports whether the platform's workloads are virtual machines that a
// processor isolates. Their tokens have claims below x-ms-isolation-tee.
func (p Platform) IsConfidentialVM() bool { return slices.Contains(confidential, p) }
