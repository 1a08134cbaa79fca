package rollout

import (
	"slices"
	"strings"

	"skr/internal/operator/measure"
)

// deploy returns the commands for the tool that the new file is for. Kinds of Kubernetes begin with
// a capital letter, and types of Azure Resource Manager do not.
func (f Files) deploy(pods []PodChange) []string {
	const group = "az deployment group create --resource-group GROUP --template-file "
	path, first := quote(f.NewPath), f.New[0].Source()
	switch {
	case strings.HasPrefix(first, `parameter "`):
		return []string{group + "TEMPLATE --parameters " + path}
	case isKubernetes(first):
		return slices.Concat(f.replaced(pods), []string{"kubectl apply -f " + path}, f.waits())
	case objectName(first) != "":
		return []string{group + path}
	}
	return []string{"# deploy the workload that has the policy of " + path}
}

// replaced returns the commands that end pods without a controller: a running pod keeps the policy
// with which it started, whatever its manifest says later.
func (f Files) replaced(pods []PodChange) (commands []string) {
	for _, pod := range pods {
		at := slices.IndexFunc(f.New, func(p measure.Policy) bool { return p.Source() == pod.Source })
		kind, name := kindAndName(pod.Source)
		if at >= 0 && kind == "Pod" && name != "" && pod.Before != "" && pod.Before != pod.After {
			commands = append(commands, "kubectl delete pod/"+quote(name)+inNamespace(f.New[at]))
		}
	}
	return commands
}

// ended returns the commands that end objects of Kubernetes that only the old file has, and that
// have one of the measurements.
func (f Files) ended(retired []string) (commands []string) {
	if !isKubernetes(f.New[0].Source()) {
		return nil
	}
	for _, old := range f.Old {
		kind, name := kindAndName(old.Source())
		stays := slices.ContainsFunc(f.New, func(p measure.Policy) bool {
			return p.Source() == old.Source() && p.Namespace() == old.Namespace()
		})
		if !stays && name != "" && isKubernetes(kind) && slices.Contains(retired, old.Digest()) {
			commands = append(commands, "kubectl delete "+strings.ToLower(kind)+"/"+quote(name)+inNamespace(old))
		}
	}
	return commands
}

// isKubernetes reports whether a source is an object of Kubernetes.
func isKubernetes(source string) bool { return source != "" && source[0] >= 'A' && source[0] <= 'Z' }

// waits returns the commands that end when the new pods run.
func (f Files) waits() (commands []string) {
	for _, p := range f.New {
		command := ""
		switch kind, name := kindAndName(p.Source()); {
		case name == "":
		case kind == "Deployment", kind == "StatefulSet", kind == "DaemonSet":
			command = "kubectl rollout status " + strings.ToLower(kind) + "/" + quote(name) + inNamespace(p)
		case kind == "Pod":
			command = "kubectl wait --for=condition=Ready pod/" + quote(name) + inNamespace(p)
		}
		if command != "" && !slices.Contains(commands, command) {
			commands = append(commands, command)
		}
	}
	return commands
}

func kindAndName(source string) (kind, name string) {
	kind, _, _ = strings.Cut(source, " ")
	return kind, objectName(source)
}

func inNamespace(p measure.Policy) string {
	if p.Namespace() == "" {
		return ""
	}
	return " --namespace " + quote(p.Namespace())
}
