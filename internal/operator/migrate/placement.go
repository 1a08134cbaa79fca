package migrate

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"skr/internal/operator/splice"
)

// peerPod is the runtime class that cloud-api-adaptor installs: each pod runs in a virtual machine of its
// own (confidentialcontainers.org; "Deploying confidential containers", OpenShift sandboxed containers).
const peerPod = "kata-remote"

const securityType = "kubernetes.azure.com/security-type" // label of AKS nodes

func (m *migration) runtimeClass(p pod) {
	old := splice.Scalar(splice.Member(p.spec, "runtimeClassName"))
	if old == "" {
		old = "of kata-cc"
	}
	if m.To == CoCo {
		setText(p.spec, "runtimeClassName", peerPod)
		m.changed(p.where(), "runtime class %s becomes %s", old, peerPod)
		return
	}
	if remove(p.spec, "runtimeClassName") != nil {
		m.changed(p.where(), "runtime class %s removed", old)
	}
}

// pools are labels that select a pool of nodes or its machines. Nodes of the new platform have other
// values, so that the pod would never be scheduled.
var pools = []string{
	"agentpool", "kubernetes.azure.com/agentpool", "kubernetes.azure.com/kata-cc-isolation", "kubernetes.azure.com/kata-mshv-vm-isolation",
	"kubernetes.azure.com/os-sku", "kubernetes.azure.com/node-image-version", "kubernetes.azure.com/mode", securityType,
	"node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type", "kubernetes.io/hostname",
}

// universal are labels that all Linux nodes have.
var universal = []string{"kubernetes.io/os", "kubernetes.io/arch", "beta.kubernetes.io/os", "beta.kubernetes.io/arch"}

func (m *migration) placement(p pod) {
	m.leavePool(p)
	switch m.To {
	case VirtualNodes:
		// microsoft/virtualnodesOnAzureContainerInstances, README, "Deploy your first pod".
		set(ensure(p.spec, "nodeSelector", yaml.MappingNode), "virtualization", scalar("virtualnode2"))
		m.changed(p.where(), "nodes are selected by virtualization: virtualnode2")
		m.tolerate(p)
	case CVM:
		set(ensure(p.spec, "nodeSelector", yaml.MappingNode), securityType, scalar("ConfidentialVM"))
		m.changed(p.where(), "nodes are selected by %s: ConfidentialVM", securityType)
	case CoCo:
		removeEmpty(p.spec, "nodeSelector")
	}
}

func (m *migration) leavePool(p pod) {
	selector := splice.Member(p.spec, "nodeSelector")
	var kept []string
	for i := 0; selector != nil && i < len(selector.Content); {
		name, value := selector.Content[i].Value, splice.Scalar(selector.Content[i+1])
		if slices.Contains(pools, name) {
			selector.Content = slices.Delete(selector.Content, i, i+2)
			m.lost(p.where(), "node selector %s: %s, which selects the old pool's nodes, is removed", name, value)
			continue
		}
		if !slices.Contains(universal, name) {
			kept = append(kept, name)
		}
		i += 2
	}
	if name := remove(p.spec, "nodeName"); name != nil {
		m.lost(p.where(), "nodeName %s is removed: it is a node of the old pool", splice.Scalar(name))
	}
	if splice.Member(p.spec, "affinity", "nodeAffinity") != nil {
		kept = append(kept, "affinity.nodeAffinity")
	}
	if len(kept) > 0 {
		m.next(p.where()+" still selects nodes by "+strings.Join(kept, ", ")+"; keep these only if nodes of the new platform match", "")
	}
}

const provider = "virtual-kubelet.io/provider" // taint of virtual nodes

func (m *migration) tolerate(p pod) {
	tolerations := ensure(p.spec, "tolerations", yaml.SequenceNode)
	for _, toleration := range tolerations.Content {
		if splice.Scalar(splice.Member(toleration, "key")) == provider {
			return
		}
	}
	tolerations.Content = append(tolerations.Content, written("{key: "+provider+", operator: Exists, effect: NoSchedule}"))
	m.changed(p.where(), "toleration of %s added", provider)
}
