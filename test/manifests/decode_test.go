package manifests

import (
	"regexp"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/yaml"
)

// object is a manifest with its type. Manifests of foreign kinds are
// unstructured.
type object = runtime.Object

// foreign lists the API groups whose kinds have no Go types here.
var foreign = map[string]bool{"kafka.strimzi.io": true}

// strict decodes the types of Kubernetes and of the Prometheus operator. It
// refuses unknown and duplicate fields.
var strict = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{apps.AddToScheme, batch.AddToScheme, core.AddToScheme, networking.AddToScheme, monitoring.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}()

var separator = regexp.MustCompile(`(?m)^---\s*$`)

func decode(t *testing.T, text string) (objects []object) {
	t.Helper()
	for _, document := range separator.Split(text, -1) {
		var any map[string]any
		if err := yaml.Unmarshal([]byte(document), &any); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if len(any) == 0 {
			continue // only comments
		}
		found := &unstructured.Unstructured{Object: any}
		if foreign[found.GroupVersionKind().Group] {
			objects = append(objects, found)
			continue
		}
		if into := custom(found.GroupVersionKind().Group, found.GetKind()); into != nil {
			objects = append(objects, decodeCustom(t, document, into))
			continue
		}
		typed, _, err := strict.Decode([]byte(document), nil, nil)
		if err != nil {
			t.Errorf("%v in\n%s", err, document)
			continue
		}
		objects = append(objects, typed)
	}
	return objects
}

// TestStrictDecoding checks that every manifest decodes and that each render
// contains the expected kinds.
func TestStrictDecoding(t *testing.T) {
	want := map[string]string{
		"helm/aci-values.yaml":            "Deployment NetworkPolicy ServiceAccount",
		"helm/aci-vn2-values.yaml":        "Deployment NetworkPolicy ServiceAccount",
		"helm/agent-values.yaml":          "DaemonSet",
		"helm/aks-kata-values.yaml":       "Deployment NetworkPolicy ServiceAccount",
		"helm/cvm-values.yaml":            "Deployment NetworkPolicy PodMonitor ServiceAccount PersistentVolume PersistentVolumeClaim",
		"helm/cvm-tdx-values.yaml":        "Deployment NetworkPolicy PodMonitor ServiceAccount PersistentVolume PersistentVolumeClaim",
		"helm/direct-values.yaml":         "Deployment NetworkPolicy",
		"helm/plain-values.yaml":          "Deployment NetworkPolicy ServiceAccount",
		"helm/trusted-launch-values.yaml": "Deployment NetworkPolicy ServiceAccount PersistentVolume PersistentVolumeClaim",
		"helm/statefulset-values.yaml":    "StatefulSet NetworkPolicy ServiceAccount PersistentVolume PersistentVolumeClaim",
		"helm/job-values.yaml":            "Job NetworkPolicy ServiceAccount PersistentVolume PersistentVolumeClaim",
		"kustomize/example":               "ServiceAccount Deployment",
		"csi/application.yaml":            "SecretProviderClass ServiceAccount Deployment",
		"csi/provider.yaml":               "ServiceAccount DaemonSet",
		"virtualnodes/application.yaml":   "Pod",
		"virtualnodes/skr.yaml":           "VirtualDaemonSet",
	}
	found := renders(t)
	for name, kinds := range want {
		var got []string
		for _, o := range found[name] {
			got = append(got, o.GetObjectKind().GroupVersionKind().Kind)
		}
		if strings.Join(got, " ") != kinds {
			t.Errorf("%s: %s, want %s", name, got, kinds)
		}
	}
	for name := range found {
		if want[name] == "" && !strings.HasPrefix(name, "kafka/") {
			t.Errorf("%s: add its kinds to this test", name)
		}
	}
}

// TestDecoderRefuses checks that the decoder of the tests above is strict.
func TestDecoderRefuses(t *testing.T) {
	for _, text := range []string{
		"apiVersion: v1\nkind: Pod\nspec: {containerz: []}\n",
		"apiVersion: v1\nkind: Pod\nkind: Pod\n",
		"apiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\nspec: {intervall: 1s}\n",
	} {
		if _, _, err := strict.Decode([]byte(text), nil, nil); err == nil {
			t.Errorf("this is accepted:\n%s", text)
		}
	}
}

// pod is a pod template with the manifest that contains it.
type pod struct {
	kind, name string
	template   core.PodTemplateSpec
}

func pods(objects []object) (found []pod) {
	for _, o := range objects {
		switch o := o.(type) {
		case *apps.Deployment:
			found = append(found, pod{"Deployment", o.Name, o.Spec.Template})
		case *apps.DaemonSet:
			found = append(found, pod{"DaemonSet", o.Name, o.Spec.Template})
		case *apps.StatefulSet:
			found = append(found, pod{"StatefulSet", o.Name, o.Spec.Template})
		case *batch.Job:
			found = append(found, pod{"Job", o.Name, o.Spec.Template})
		case *batch.CronJob:
			found = append(found, pod{"CronJob", o.Name, o.Spec.JobTemplate.Spec.Template})
		case *virtualDaemonSet:
			found = append(found, pod{"VirtualDaemonSet", o.Name, o.Spec.Template.PodTemplateSpec})
		case *core.Pod:
			found = append(found, pod{"Pod", o.Name, core.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec}})
		}
	}
	return found
}

// sidecars returns the containers that run skr.
func (p pod) sidecars() (found []core.Container) {
	for _, c := range append(p.template.Spec.InitContainers, p.template.Spec.Containers...) {
		if len(c.Command) > 0 && c.Command[0] == "/bin/skr" {
			found = append(found, c)
		}
	}
	return found
}
