package migrate

import "skr/internal/operator/splice"

// podIdentity replaces workload identity with the identity of the container group, if one is given.
func (m *migration) podIdentity(p pod) {
	metadata := splice.Member(p.object, "metadata")
	labels := splice.Member(metadata, "labels")
	uses := splice.Scalar(splice.Member(labels, useLabel)) == "true"
	if m.To != VirtualNodes || m.Identity == "" {
		m.identity = m.identity || uses
		return
	}
	remove(labels, useLabel)
	removeEmpty(metadata, "labels")
	setText(p.annotations(), groupIdentity, m.Identity)
	if uses {
		m.changed(p.where(), "workload identity (label %s) becomes the container group's identity (annotation %s)", useLabel, groupIdentity)
		return
	}
	m.changed(p.where(), "the container group gets the identity (annotation %s)", groupIdentity)
}
