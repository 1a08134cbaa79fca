package migrate

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"skr/internal/operator/splice"
)

// endorsements removes the volumes that show the utility VM's endorsement, and their mounts. The files
// exist on kata-cc only.
func (m *migration) endorsements(p pod) {
	names := p.endorsementVolumes()
	removed := removeIf(p.spec, "volumes", func(volume *yaml.Node) bool {
		return slices.Contains(names, splice.Scalar(splice.Member(volume, "name")))
	})
	p.containers(func(container *yaml.Node) {
		removed += removeIf(container, "volumeMounts", func(mount *yaml.Node) bool {
			return slices.Contains(names, splice.Scalar(splice.Member(mount, "name"))) || strings.HasPrefix(splice.Scalar(splice.Member(mount, "mountPath")), endorsementDirectory)
		})
	})
	if removed > 0 {
		m.changed(p.where(), "the mount of %s is removed: %s", endorsementDirectory, endorsedBy[m.To])
	}
}

var endorsedBy = map[Target]string{
	VirtualNodes: "Azure Container Instances mount the endorsement in each container",
	CVM:          "the attestation provider knows the measurements of confidential virtual machines",
	CoCo:         "the attestation provider knows the measurements of confidential virtual machines",
}
