package migrate

import (
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"skr/internal/excerpt"
	"skr/internal/operator/splice"
)

const (
	agentDirectory = "/run/skr" // of the agent on each node
	agentGroup     = "65532"    // group of the agent's sockets
	agentVolume    = "skr-vtpm"
)

// sidecar migrates the containers that run skr or the reference sidecar.
func (m *migration) sidecar(p pod) {
	before := m.sidecars
	for _, list := range []string{"initContainers", "containers"} {
		for _, container := range slices.Clone(splice.Items(splice.Member(p.spec, list))) {
			if isSidecar(container) {
				m.sidecars++
				m.container(p, container)
				m.form(p, list, container)
			}
		}
	}
	if m.sidecars == before {
		m.lost(p.where(), "no container is recognised as skr, by its command, SkrSideCarArgs or an image named skr. "+
			"If one runs it, write its command, /bin/skr, into the manifest and migrate again")
	}
	m.agentVolume(p)
}

// isSidecar recognises what the documentation of AKS, the reference's examples and this project deploy.
func isSidecar(container *yaml.Node) bool {
	if environment(container, "SkrSideCarArgs") != nil || environment(container, "AaspSideCarArgs") != nil {
		return true
	}
	for _, list := range []string{"command", "args"} {
		for _, word := range splice.Items(splice.Member(container, list)) {
			if slices.Contains([]string{"/bin/skr", "/skr.sh", "/bin/aasp", "/aasp.sh"}, word.Value) {
				return true
			}
		}
	}
	name, _, _ := strings.Cut(path.Base(splice.Scalar(splice.Member(container, "image"))), ":")
	name, _, _ = strings.Cut(name, "@")
	return name == "skr" || splice.Member(container, "image") == nil && splice.Scalar(splice.Member(container, "name")) == "skr"
}

// container migrates image, settings and mounts of a sidecar.
func (m *migration) container(p pod, container *yaml.Node) {
	where := p.where() + ", container " + excerpt.Quote(splice.Scalar(splice.Member(container, "name")))
	m.image(where, container)
	m.securityContextVariables(where, container)
	switch m.To {
	case VirtualNodes:
		m.certificates(where, container)
	case CVM:
		m.useAgent(where, container)
	case CoCo:
		// kata-containers/kata-containers PR 9738 proposes devices for containers, and was closed.
		m.lost(where, "stock guests of Confidential Containers show containers neither /dev/sev-guest nor /dev/tpmrm0, "+
			"so skr finds no evidence (UNCONFIRMED for peer pods). Use a guest image that shows /dev/tpmrm0, or take the key from Trustee: "+
			"the guest serves http://127.0.0.1:8006/cdh/resource/REPOSITORY/TYPE/TAG")
	}
}

// reference is the repository of the reference sidecar's image.
const reference = "mcr.microsoft.com/aci/skr"

func isReference(image string) bool {
	rest, found := strings.CutPrefix(image, reference)
	return found && (rest == "" || rest[0] == ':' || rest[0] == '@')
}

func (m *migration) image(where string, container *yaml.Node) {
	old := splice.Scalar(splice.Member(container, "image"))
	switch {
	case m.Image != "" && old != "" && old != m.Image:
		setText(container, "image", m.Image)
		m.changed(where, "image %s becomes %s", excerpt.Of(old), excerpt.Of(m.Image))
	case isReference(old) && m.To != VirtualNodes:
		m.lost(where, "image %s takes no evidence from a vTPM (microsoft/confidential-sidecar-containers issue 177); use the image of skr (--image)", excerpt.Of(old))
	}
	for _, word := range splice.Items(splice.Member(container, "command")) {
		if strings.HasSuffix(word.Value, "/aasp") || strings.HasSuffix(word.Value, "/aasp.sh") {
			m.lost(where, "command %s is of an image that the reference no longer builds; skr serves gRPC with /skr.sh, ServerType=grpc and Port=50000", word.Value)
		}
	}
}

// securityContextVariables removes the directory of kata-cc. Elsewhere the platform sets the variable,
// or there is no such directory.
func (m *migration) securityContextVariables(where string, container *yaml.Node) {
	const name = "UVM_SECURITY_CONTEXT_DIR"
	if old := environment(container, name); old != nil && strings.HasPrefix(splice.Scalar(splice.Member(old, "value")), endorsementDirectory) {
		unsetVariable(container, name)
		m.changed(where, "variable %s is removed: the directory exists on kata-cc only", name)
	}
}

// useAgent gives the container the sockets of the node's agent.
func (m *migration) useAgent(where string, container *yaml.Node) {
	setVariable(container, "SKR_REPORT_SOURCE", "vtpm")
	setVariable(container, "SKR_TPM", "unix:"+agentDirectory+"/tpm.sock")
	setVariable(container, "SKR_EVENT_LOG", agentDirectory+"/event-log")
	mounts := ensure(container, "volumeMounts", yaml.SequenceNode)
	mounts.Content = append(mounts.Content, written("{name: "+agentVolume+", mountPath: "+agentDirectory+", readOnly: true}"))
	group := scalar(agentGroup)
	group.Tag, group.Style = "!!int", 0
	set(ensure(container, "securityContext", yaml.MappingNode), "runAsGroup", group)
	m.changed(where, "evidence comes from the vTPM, through the agent's sockets in %s, which belong to group %s", agentDirectory, agentGroup)
}

func (m *migration) agentVolume(p pod) {
	if m.To != CVM || !p.mounts(agentVolume) {
		return
	}
	volumes := ensure(p.spec, "volumes", yaml.SequenceNode)
	volumes.Content = append(volumes.Content, written("{name: "+agentVolume+", hostPath: {path: "+agentDirectory+", type: Directory}}"))
}

func (p pod) mounts(volume string) (found bool) {
	p.containers(func(container *yaml.Node) {
		for _, mount := range splice.Items(splice.Member(container, "volumeMounts")) {
			found = found || splice.Scalar(splice.Member(mount, "name")) == volume
		}
	})
	return found
}
