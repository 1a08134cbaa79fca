package migrate

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"skr/internal/excerpt"
	"skr/internal/operator/splice"
)

// kataClasses are the runtime classes of kata-cc: of the last documentation, and of the first.
var kataClasses = []string{"kata-cc-isolation", "kata-cc"}

const (
	// agentPolicy is the annotation that holds the policy of a Kata pod's agent
	// ("Understanding policies", Azure Kubernetes Service).
	agentPolicy = "io.katacontainers.config.agent.policy"
	// endorsementDirectory has the utility VM's endorsement and its policy on kata-cc (reference
	// sidecar, UVM_SECURITY_CONTEXT_DIR).
	endorsementDirectory = "/opt/confidential-containers/share/kata-containers"
)

// templates are the paths of pod templates, by kind.
var templates = map[string][]string{
	"Pod": {}, "PodTemplate": {"template"},
	"Deployment": {"spec", "template"}, "ReplicaSet": {"spec", "template"}, "ReplicationController": {"spec", "template"},
	"StatefulSet": {"spec", "template"}, "DaemonSet": {"spec", "template"},
	"Job": {"spec", "template"}, "CronJob": {"spec", "jobTemplate", "spec", "template"},
}

// pod is a pod, or the pod template of an object. It may be a part, as in patches of Kustomize.
type pod struct {
	kind, name string
	object     *yaml.Node // with metadata and spec
	spec       *yaml.Node
}

func podOf(object *yaml.Node) (pod, bool) {
	p := pod{kind: splice.Scalar(splice.Member(object, "kind")), name: splice.Scalar(splice.Member(object, "metadata", "name"))}
	path, known := templates[p.kind]
	p.object = splice.Member(object, path...)
	p.spec = splice.Member(p.object, "spec")
	return p, known && p.spec != nil && p.spec.Kind == yaml.MappingNode
}

func whereOf(object *yaml.Node) string {
	return pod{kind: splice.Scalar(splice.Member(object, "kind")), name: splice.Scalar(splice.Member(object, "metadata", "name"))}.where()
}

func (p pod) where() string { return excerpt.Of(p.kind) + " " + excerpt.Quote(p.name) }

// isKata reports whether the pod is for kata-cc.
func (p pod) isKata() bool {
	class := splice.Scalar(splice.Member(p.spec, "runtimeClassName"))
	return slices.Contains(kataClasses, class) ||
		class == "" && (splice.Member(p.object, "metadata", "annotations", agentPolicy) != nil || len(p.endorsementVolumes()) > 0)
}

// endorsementVolumes returns the names of the volumes that show a utility VM's endorsement.
func (p pod) endorsementVolumes() (names []string) {
	for _, volume := range splice.Items(splice.Member(p.spec, "volumes")) {
		path := splice.Scalar(splice.Member(volume, "hostPath", "path"))
		if path == endorsementDirectory || strings.HasPrefix(path, endorsementDirectory+"/") {
			names = append(names, splice.Scalar(splice.Member(volume, "name")))
		}
	}
	return names
}

// containers calls visit for each container of the pod.
func (p pod) containers(visit func(container *yaml.Node)) {
	for _, list := range []string{"initContainers", "containers", "ephemeralContainers"} {
		for _, container := range splice.Items(splice.Member(p.spec, list)) {
			visit(container)
		}
	}
}

// annotations returns the pod's annotations, which it makes if there are none.
func (p pod) annotations() *yaml.Node {
	if splice.Member(p.object, "metadata") == nil {
		i := splice.Index(p.object, "spec")
		p.object.Content = slices.Insert(p.object.Content, i, scalar("metadata"), &yaml.Node{Kind: yaml.MappingNode})
	}
	return ensure(ensure(p.object, "metadata", yaml.MappingNode), "annotations", yaml.MappingNode)
}
