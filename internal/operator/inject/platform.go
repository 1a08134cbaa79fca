package inject

import "fmt"

// Platform is where a pod or a container group runs. The names are those of the Helm chart.
type Platform string

// The platforms.
const (
	Group               Platform = "aci" // a container group, or with pods, virtual nodes without native sidecars
	VirtualNodes        Platform = "aci-vn2"
	Kata                Platform = "aks-kata"
	CVM                 Platform = "cvm"
	CVMTDX              Platform = "cvm-tdx"
	TrustedLaunch       Platform = "trusted-launch"
	VirtualNodesClassic          = Group
)

// ParsePlatform returns the platform of that name.
func ParsePlatform(name string) (Platform, error) {
	switch p := Platform(name); p {
	case Group, VirtualNodes, Kata, CVM, CVMTDX, TrustedLaunch:
		return p, nil
	}
	return "", fmt.Errorf("platform %q is none of %s, %s, %s, %s, %s, %s", name, Group, VirtualNodes, Kata, CVM, CVMTDX, TrustedLaunch)
}

// UsesVTPM reports whether pods of the platform attest with the virtual TPM of their node.
func (p Platform) UsesVTPM() bool { return p == CVM || p == CVMTDX || p == TrustedLaunch }

func (p Platform) onVirtualNode() bool { return p == VirtualNodes || p == VirtualNodesClassic }

// securityTypes are values of the label kubernetes.azure.com/security-type of AKS nodes.
var securityTypes = map[Platform]string{CVM: "ConfidentialVM", CVMTDX: "ConfidentialVM", TrustedLaunch: "TrustedLaunch"}

// policies are where the execution policy of a pod is.
var policies = map[Platform]string{
	Kata:         "io.katacontainers.config.agent.policy",
	VirtualNodes: groupPolicy, VirtualNodesClassic: groupPolicy,
}

const (
	groupPolicy   = "microsoft.containerinstance.virtualnode.ccepolicy"
	groupIdentity = "microsoft.containerinstance.virtualnode.identity"
	clusterDNS    = "microsoft.containerinstance.virtualnode.injectdns"
	useLabel      = "azure.workload.identity/use"

	annotation = "skr/injected" // of a pod: the record of what was added
	tag        = "skr-injected" // of a container group
)
