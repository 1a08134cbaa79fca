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
	TrustedLaunch Platform = "trusted-launch" // virtual machine or node with a vTPM only, AzureGuest
)

var (
	everywhere = []Platform{ACI, AKSKata, CVM, TrustedLaunch}
	containers = []Platform{ACI, AKSKata}
	machines   = []Platform{CVM, TrustedLaunch}
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
