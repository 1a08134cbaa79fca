package migrate

import (
	"slices"
	"strings"

	"skr/internal/operator/splice"
)

const (
	// groupPolicy and groupIdentity are annotations that a virtual node turns into properties of a
	// container group, and clusterDNS is one that keeps Azure's DNS server
	// (microsoft/virtualnodesOnAzureContainerInstances, "Pod Customizations").
	groupPolicy   = "microsoft.containerinstance.virtualnode.ccepolicy"
	groupIdentity = "microsoft.containerinstance.virtualnode.identity"
	clusterDNS    = "microsoft.containerinstance.virtualnode.injectdns"
	// initdata is the annotation with what Confidential Containers measure in place of a policy.
	initdata = "io.katacontainers.config.hypervisor.cc_init_data"

	kataPrefix = "io.katacontainers."
	useLabel   = "azure.workload.identity/use"
)

// policyLost says why the policy of the agent cannot be kept.
var policyLost = map[Target]string{
	VirtualNodes: "virtual nodes measure " + groupPolicy + ", another policy for another agent",
	CVM:          "a node of a pool runs every pod that the cluster gives it, and no policy is measured",
	CoCo: "it is for the agent of AKS, which mounts image layers by their dm-verity hashes; Confidential Containers pull images in the guest and " +
		"measure initdata, which holds another policy",
}

// annotations removes those that only Kata reads, and adds those that the platform needs.
func (m *migration) annotations(p pod) {
	metadata := splice.Member(p.object, "metadata")
	annotations := splice.Member(metadata, "annotations")
	var removed []string
	for i := 0; annotations != nil && i < len(annotations.Content); {
		name := annotations.Content[i].Value
		if name != agentPolicy && (m.To == CoCo || !strings.HasPrefix(name, kataPrefix)) {
			i += 2
			continue
		}
		removed = append(removed, name)
		annotations.Content = slices.Delete(annotations.Content, i, i+2)
	}
	removeEmpty(metadata, "annotations")
	for _, name := range removed {
		if name == agentPolicy {
			m.lost(p.where(), "annotation %s is removed: %s", name, policyLost[m.To])
			continue
		}
		m.lost(p.where(), "annotation %s is removed: only Kata reads it", name)
	}
	if m.To == VirtualNodes {
		m.useAzureDNS(p)
	}
}

// useAzureDNS keeps the cluster's DNS server out of a confidential pod, which has no kube-proxy to reach it.
func (m *migration) useAzureDNS(p pod) {
	annotations := p.annotations()
	if splice.Member(annotations, clusterDNS) != nil {
		return
	}
	set(annotations, clusterDNS, written(`"false"`))
	m.changed(p.where(), "annotation %s is added: the pod uses Azure's DNS server, because it cannot reach the cluster's", clusterDNS)
}
