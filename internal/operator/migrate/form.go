package migrate

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"skr/internal/excerpt"
	"skr/internal/operator/splice"
)

// form makes a sidecar native or plain. Parts of containers, as patches have them, stay where they are.
func (m *migration) form(p pod, list string, container *yaml.Node) {
	where := p.where() + ", container " + excerpt.Quote(splice.Scalar(splice.Member(container, "name")))
	native := list == "initContainers" && splice.Scalar(splice.Member(container, "restartPolicy")) == "Always"
	switch {
	case splice.Member(container, "image") == nil:
	case m.Sidecar == Native && !native && list == "containers":
		if len(splice.Items(splice.Member(p.spec, "containers"))) == 1 {
			m.lost(where, "it is the pod's only container, which cannot be an init container")
			return
		}
		m.move(p, container, "containers", "initContainers")
		set(container, "restartPolicy", scalar("Always"))
		m.awaitReady(container)
		m.changed(where, "it is a native sidecar: it starts first, and ends after the other containers. Kubernetes 1.29 or later is needed")
	case m.Sidecar == Plain && native:
		m.move(p, container, "initContainers", "containers")
		remove(container, "restartPolicy")
		m.changed(where, "it is an ordinary container: it starts together with the others, which must wait for it")
	case m.Sidecar != Native && !native && list == "containers" && (p.kind == "Job" || p.kind == "CronJob"):
		m.lost(where, "a Job does not complete while an ordinary sidecar runs; use a native one (--sidecar native)")
	}
}

func (m *migration) move(p pod, container *yaml.Node, from, to string) {
	removeIf(p.spec, from, func(other *yaml.Node) bool { return other == container })
	list := splice.Member(p.spec, to)
	if list == nil || list.Kind != yaml.SequenceNode {
		list = &yaml.Node{Kind: yaml.SequenceNode}
		i := max(splice.Index(p.spec, "containers"), 0)
		p.spec.Content = slices.Insert(p.spec.Content, i, scalar(to), list)
	}
	list.Content = slices.Insert(list.Content, 0, container)
}

// awaitReady makes the other containers wait until keys can be released. The reference's image has no
// program for it.
func (m *migration) awaitReady(container *yaml.Node) {
	if splice.Member(container, "startupProbe") != nil || isReference(splice.Scalar(splice.Member(container, "image"))) {
		return
	}
	set(container, "startupProbe", written("{exec: {command: [/bin/skr, healthcheck]}, periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 60}"))
}
