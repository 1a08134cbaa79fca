package apiserver

import (
	"encoding/json"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// templates are the members of each kind that hold its pod template.
var templates = map[string][]string{
	"Deployment": {"spec", "template"}, "ReplicaSet": {"spec", "template"}, "StatefulSet": {"spec", "template"},
	"DaemonSet": {"spec", "template"}, "Job": {"spec", "template"}, "ReplicationController": {"spec", "template"},
	"CronJob": {"spec", "jobTemplate", "spec", "template"}, "PodTemplate": {"template"}, "VirtualDaemonSet": {"spec", "template"},
}

// podOf returns the pod that a controller makes of a workload, or "". Its name is the
// controller's too: the API server shortens names that it generates. Pods themselves are
// created as they are.
func podOf(t *testing.T, document string) string {
	t.Helper()
	var object map[string]any
	if err := yaml.Unmarshal([]byte(document), &object); err != nil {
		t.Fatal(err)
	}
	kind, _ := object["kind"].(string)
	path, runs := templates[kind]
	if !runs {
		return ""
	}
	pod, name := object, member(object, "metadata")["name"].(string)
	for _, step := range path {
		pod = member(pod, step)
	}
	metadata := member(pod, "metadata")
	switch kind {
	case "StatefulSet":
		metadata["name"] = name + "-0"
	case "Deployment":
		metadata["generateName"] = name + "-5d4f8c7b96-" // with the hash of its ReplicaSet
	default:
		metadata["generateName"] = name + "-"
	}
	pod["apiVersion"], pod["kind"], pod["metadata"] = "v1", "Pod", metadata
	if claims, has := member(object, "spec")["volumeClaimTemplates"].([]any); has {
		addClaims(member(pod, "spec"), name, claims)
	}
	text, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// addClaims adds the volumes that the controller of StatefulSets adds to its first pod.
func addClaims(spec map[string]any, name string, claims []any) {
	volumes, _ := spec["volumes"].([]any)
	for _, claim := range claims {
		volume := member(claim.(map[string]any), "metadata")["name"].(string)
		volumes = append(volumes, map[string]any{
			"name": volume, "persistentVolumeClaim": map[string]any{"claimName": volume + "-" + name + "-0"},
		})
	}
	spec["volumes"] = volumes
}

// member returns a member that is an object, or an empty object.
func member(object map[string]any, name string) map[string]any {
	if found, is := object[name].(map[string]any); is {
		return found
	}
	return map[string]any{}
}

// account returns the service account of a pod.
func account(t *testing.T, pod string) string {
	t.Helper()
	var object map[string]any
	if err := yaml.Unmarshal([]byte(pod), &object); err != nil {
		t.Fatal(err)
	}
	if name, is := member(object, "spec")["serviceAccountName"].(string); is {
		return name
	}
	return "default"
}

// tokens returns the names of the volumes with which the API server gives a pod a token for
// the API.
func tokens(t *testing.T, pod []byte) (names []string) {
	t.Helper()
	var object struct {
		Spec struct{ Volumes []struct{ Name string } }
	}
	if err := json.Unmarshal(pod, &object); err != nil {
		t.Fatal(err)
	}
	for _, volume := range object.Spec.Volumes {
		if strings.HasPrefix(volume.Name, "kube-api-access-") {
			names = append(names, volume.Name)
		}
	}
	return names
}
