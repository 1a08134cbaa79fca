package inject

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"skr/internal/excerpt"
	"skr/internal/operator/splice"
)

// native reports whether the sidecar is an init container that always restarts.
func (o Options) native() bool { return !o.Classic && o.Platform != VirtualNodesClassic }

// usesWorkloadIdentity reports whether the identity is a client id, and not a resource id or an expression for one.
func (o Options) usesWorkloadIdentity() bool {
	return o.Identity != "" && !strings.ContainsAny(o.Identity[:1], "/[")
}

// pod returns what a pod gets.
func (o Options) pod(t target, record string) splice.Overlay {
	notes := mapping(annotation, scalar(record))
	if o.Platform.onVirtualNode() && strings.HasPrefix(o.Identity, "/") {
		notes.Content = append(notes.Content, scalar(groupIdentity), scalar(o.Identity))
	}
	if o.Platform == VirtualNodes && splice.Member(t.object, "metadata", "annotations", clusterDNS) == nil {
		// A confidential pod has no kube-proxy, so it does not reach the cluster's DNS.
		notes.Content = append(notes.Content, scalar(clusterDNS), written(`"false"`))
	}
	var labels *yaml.Node
	if o.usesWorkloadIdentity() {
		labels = mapping(useLabel, written(`"true"`))
	}
	name := "containers"
	if o.native() {
		name = "initContainers"
	}
	spec := mapping("runtimeClassName", text(o.runtimeClass(t)), "nodeSelector", o.nodeSelector(), "tolerations", o.tolerations(t),
		"volumes", list(o.volumes()...), name, list(o.container(o.native())))
	return splice.Overlay{Value: mapping("metadata", mapping("labels", labels, "annotations", notes), "spec", spec)}
}

// runtimeClass returns the class of kata-cc, or "" if the pod has one: of the last documentation, or of the first.
func (o Options) runtimeClass(t target) string {
	if o.Platform != Kata || splice.Scalar(splice.Member(t.spec(), "runtimeClassName")) == "kata-cc" {
		return ""
	}
	return "kata-cc-isolation"
}

func (o Options) nodeSelector() *yaml.Node {
	switch {
	case o.Platform.onVirtualNode():
		return mapping("virtualization", scalar("virtualnode2"))
	case o.Platform == CVMTDX: // Azure labels no node with the kind of its processor
		return mapping("kubernetes.azure.com/security-type", scalar(securityTypes[CVMTDX]), "skr/tee", scalar("tdx"))
	case o.Platform.UsesVTPM():
		return mapping("kubernetes.azure.com/security-type", scalar(securityTypes[o.Platform]))
	}
	return nil
}

func (o Options) tolerations(t target) *yaml.Node {
	const provider = "virtual-kubelet.io/provider"
	tolerated := slices.ContainsFunc(splice.Items(splice.Member(t.spec(), "tolerations")), func(toleration *yaml.Node) bool {
		return splice.Scalar(splice.Member(toleration, "key")) == provider
	})
	if !o.Platform.onVirtualNode() || tolerated {
		return nil
	}
	return list(written("{key: " + provider + ", operator: Exists, effect: NoSchedule}"))
}

// checkPod returns an error for a pod that cannot have the sidecar.
func (o Options) checkPod(t target) error {
	spec := t.spec()
	switch {
	case o.Platform == "":
		return fmt.Errorf("%s: name its platform", t.where())
	case t.kind == "DaemonSet" && o.Platform.onVirtualNode():
		return errAt(t.object, t.where()+": virtual nodes run no DaemonSets; make it a Deployment, or use a VirtualDaemonSet")
	case splice.Scalar(splice.Member(spec, "hostNetwork")) == "true" && len(o.Ports) > 0:
		return errAt(splice.Member(spec, "hostNetwork"), t.where()+" has hostNetwork: every process of the node could ask skr for keys; "+
			"remove hostNetwork, or listen on a unix socket only")
	case splice.Scalar(splice.Member(spec, "os", "name")) == "windows", splice.Scalar(splice.Member(spec, "nodeSelector", "kubernetes.io/os")) == "windows":
		return errAt(spec, t.where()+" is for Windows, and skr runs on Linux")
	}
	return o.checkNames(t)
}

// checkNames returns an error if the sidecar's name or a port is in use, or a volume to mount is missing.
func (o Options) checkNames(t target) error {
	for _, c := range t.containers() {
		name := splice.Scalar(splice.Member(c, "name"))
		if name == sidecarName {
			return errAt(c, t.where()+" has a container skr that skrctl inject did not add: rename or remove it")
		}
		for _, p := range slices.Concat(splice.Items(splice.Member(c, "ports")), splice.Items(splice.Member(c, "properties", "ports"))) {
			port := splice.Scalar(splice.Member(p, "containerPort")) + splice.Scalar(splice.Member(p, "port"))
			if slices.ContainsFunc(o.Ports, func(used int) bool { return strconv.Itoa(used) == port }) {
				return errAt(p, fmt.Sprintf("%s: container %s listens on port %s, as skr would; choose another address for skr (--listen localhost:PORT)",
					t.where(), excerpt.Quote(name), port))
			}
		}
	}
	volumes := splice.Items(splice.Member(t.spec(), "volumes"))
	for _, m := range o.Mounts {
		has := slices.ContainsFunc(volumes, func(v *yaml.Node) bool { return splice.Scalar(splice.Member(v, "name")) == m.Volume })
		if !has && t.kind != "StatefulSet" { // which may have a template of the volume
			return errAt(t.spec(), t.where()+" has no volume "+excerpt.Quote(m.Volume)+" for the sidecar")
		}
	}
	return nil
}
