package migrate

import "go.yaml.in/yaml/v3"

// podIdentity replaces workload identity with the identity of the container group, if one is given.
func (m *migration) podIdentity(p pod) {
	metadata := member(p.object, "metadata")
	labels := member(metadata, "labels")
	uses := text(member(labels, useLabel)) == "true"
	if m.To != VirtualNodes || m.Identity == "" {
		m.identity = m.identity || uses
		return
	}
	remove(labels, useLabel)
	removeEmpty(metadata, "labels")
	setText(ensure(ensure(p.object, "metadata", yaml.MappingNode), "annotations", yaml.MappingNode), groupIdentity, m.Identity)
	if uses {
		m.changed(p.where(), "workload identity (label %s) becomes the container group's identity (annotation %s)", useLabel, groupIdentity)
		return
	}
	m.changed(p.where(), "the container group gets the identity (annotation %s)", groupIdentity)
}
