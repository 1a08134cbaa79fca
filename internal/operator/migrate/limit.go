package migrate

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"skr/internal/excerpt"
	"skr/internal/operator/splice"
)

// limits notes what the platform does not do for the pod.
func (m *migration) limits(p pod) {
	for _, volume := range splice.Items(splice.Member(p.spec, "volumes")) {
		if path := splice.Scalar(splice.Member(volume, "hostPath", "path")); path != "" && path != agentDirectory {
			m.lost(p.where(), "volume %s mounts %s of the utility VM; %s", excerpt.Quote(splice.Scalar(splice.Member(volume, "name"))), excerpt.Of(path), hostPaths[m.To])
		}
	}
	p.containers(func(container *yaml.Node) {
		if mountsFileSystems(container) {
			m.lost(p.where(), "container %s mounts encrypted file systems with the reference's encfs sidecar, which skr does not replace%s",
				excerpt.Quote(splice.Scalar(splice.Member(container, "name"))), map[bool]string{true: "", false: "; it takes no evidence from a vTPM"}[m.To == VirtualNodes])
		}
	})
	switch m.To {
	case VirtualNodes:
		// "Pod Customizations", Disable Kube-Proxy.
		m.lost(p.where(), "confidential pods on virtual nodes have no kube-proxy: they reach no ClusterIP Service, and know no names of the cluster. "+
			"Name load balancers or other addresses of the virtual network in its settings")
	case CVM:
		m.lost(p.where(), "evidence is the node's: every pod that may use the agent's directory on these nodes gets the same evidence. "+
			"Reserve the pool with a taint, and give only this pod's identity the permission to release the key")
	case CoCo:
	}
}

var hostPaths = map[Target]string{
	VirtualNodes: "on virtual nodes it is the container group's own machine, where the path may not exist",
	CVM:          "on a node it is a directory that all pods of the node may share",
	CoCo:         "in a peer pod it is a directory of the guest or of the worker node, depending on the path",
}

// mountsFileSystems reports whether a container runs the reference's encfs sidecar.
func mountsFileSystems(container *yaml.Node) bool {
	for _, word := range splice.Items(splice.Member(container, "command")) {
		if strings.HasSuffix(word.Value, "/encfs.sh") {
			return true
		}
	}
	return environment(container, "EncfsSideCarArgs") != nil
}
