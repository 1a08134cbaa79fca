package inject

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"skr/internal/excerpt"
	"skr/internal/operator/splice"
)

// templates are the paths of pod templates, by kind and API group.
var templates = map[string][]string{
	"/Pod": {}, "/PodTemplate": {"template"}, "/ReplicationController": {"spec", "template"},
	"apps/Deployment": {"spec", "template"}, "apps/ReplicaSet": {"spec", "template"},
	"apps/StatefulSet": {"spec", "template"}, "apps/DaemonSet": {"spec", "template"},
	"batch/Job": {"spec", "template"}, "batch/CronJob": {"spec", "jobTemplate", "spec", "template"},
}

// target is a pod, a pod template or a container group.
type target struct {
	kind, name string
	object     *yaml.Node // has metadata and spec, or properties
	isGroup    bool
	isARM      bool // values that begin with "[" are expressions
}

func (t target) String() string { return t.kind + "/" + t.name }

func (t target) where() string { return excerpt.Of(t.kind) + " " + excerpt.Quote(t.name) }

// spec returns what has the containers.
func (t target) spec() *yaml.Node {
	if t.isGroup {
		return splice.Member(t.object, "properties")
	}
	return splice.Member(t.object, "spec")
}

// containers returns all containers with the name of their list.
func (t target) containers() (all []*yaml.Node) {
	for _, list := range []string{"initContainers", "containers"} {
		all = append(all, splice.Items(splice.Member(t.spec(), list))...)
	}
	return all
}

// record returns the record of what Add added, if there is one.
func (t target) record() (string, bool) {
	path := []string{"metadata", "annotations", annotation}
	if t.isGroup {
		path = []string{"tags", tag}
	}
	n := splice.Member(t.object, path...)
	return splice.Scalar(n), n != nil
}

// targetsOf finds the targets in an object, a list of objects or an ARM template. It notes the kinds of others.
func targetsOf(n *yaml.Node, isARM bool, kinds map[string]bool) (found []target, err error) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	kind, resource := splice.Scalar(splice.Member(n, "kind")), splice.Scalar(splice.Member(n, "type"))
	switch {
	case kind != "" && strings.HasSuffix(kind, "List"):
		return each(splice.Items(splice.Member(n, "items")), isARM, kinds)
	case kind != "":
		return kubernetes(n, kind, kinds)
	case isGroupType(resource) || resource == "" && splice.Member(n, "properties", "containers") != nil:
		return []target{{kind: "containerGroups", name: splice.Scalar(splice.Member(n, "name")), object: n, isGroup: true, isARM: isARM}}, nil
	case strings.EqualFold(resource, "Microsoft.Resources/deployments"):
		return targetsOf(splice.Member(n, "properties", "template"), true, kinds)
	}
	if resources := splice.Member(n, "resources"); resources != nil {
		values := splice.Items(resources)
		for i := 1; resources.Kind == yaml.MappingNode && i < len(resources.Content); i += 2 {
			values = append(values, resources.Content[i])
		}
		return each(values, true, kinds)
	}
	kinds[excerpt.Of(kindOr(resource, "an object without kind"))] = true
	return nil, nil
}

func isGroupType(resource string) bool {
	return strings.EqualFold(resource, "Microsoft.ContainerInstance/containerGroups") ||
		strings.EqualFold(resource, "Microsoft.ContainerInstance/containerGroupProfiles")
}

func kindOr(kind, other string) string {
	if kind == "" {
		return other
	}
	return kind
}

func each(objects []*yaml.Node, isARM bool, kinds map[string]bool) (all []target, err error) {
	for _, object := range objects {
		found, err := targetsOf(object, isARM, kinds)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// kubernetes returns the pod template of an object. It returns an error for an object of another kind that has one:
// it would run without the sidecar.
func kubernetes(n *yaml.Node, kind string, kinds map[string]bool) ([]target, error) {
	group, _, found := strings.Cut(splice.Scalar(splice.Member(n, "apiVersion")), "/")
	if !found {
		group = ""
	}
	t := target{kind: kind, name: nameOf(n)}
	path, known := templates[group+"/"+kind]
	t.object = splice.Member(n, path...)
	switch {
	case known && t.spec() != nil && t.spec().Kind == yaml.MappingNode && splice.Member(t.spec(), "containers") != nil:
		return []target{t}, nil
	case known:
		return nil, errAt(n, t.where()+" has no containers, so it is not a whole manifest: skrctl inject does not change patches")
	case runsContainers(n, maxDepth):
		return nil, errAt(n, t.where()+" of "+excerpt.Quote(group)+" runs containers, and its kind is unknown here: add the sidecar to its pod template by hand")
	}
	kinds[excerpt.Of(kind)] = true
	return nil, nil
}

func nameOf(n *yaml.Node) string {
	if name := splice.Scalar(splice.Member(n, "metadata", "name")); name != "" {
		return name
	}
	return splice.Scalar(splice.Member(n, "metadata", "generateName"))
}

const maxDepth = 100

// runsContainers reports whether a list of containers with images is in an object.
func runsContainers(n *yaml.Node, depth int) bool {
	for _, container := range splice.Items(splice.Member(n, "containers")) {
		if splice.Member(container, "image") != nil {
			return true
		}
	}
	for _, child := range n.Content {
		if depth > 0 && runsContainers(child, depth-1) {
			return true
		}
	}
	return false
}
