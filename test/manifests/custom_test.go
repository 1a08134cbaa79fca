package manifests

import (
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// virtualDaemonSet has the fields of the custom resource definition (microsoft/virtualnodesOnAzureContainerInstances,
// Helm/virtualnode/templates/virtualdaemonsets/crd).
type virtualDaemonSet struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`

	Spec struct {
		Selector meta.LabelSelector `json:"selector"`
		Template struct {
			meta.TypeMeta        `json:",inline"`
			core.PodTemplateSpec `json:",inline"`
		} `json:"template"`
	} `json:"spec"`
}

// secretProviderClass has the fields of the driver's API (kubernetes-sigs/secrets-store-csi-driver, apis/v1), without
// those for Kubernetes Secrets.
type secretProviderClass struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`

	Spec struct {
		Provider   string            `json:"provider"`
		Parameters map[string]string `json:"parameters"`
	} `json:"spec"`
}

// DeepCopyObject returns the object itself: no test changes one.
func (o *virtualDaemonSet) DeepCopyObject() runtime.Object { return o }

// DeepCopyObject returns the object itself: no test changes one.
func (o *secretProviderClass) DeepCopyObject() runtime.Object { return o }

// custom returns a value for a kind without Go types of its own, or nil.
func custom(group, kind string) object {
	switch {
	case group == "virtualdaemonsets.aci.azure.microsoft.com" && kind == "VirtualDaemonSet":
		return &virtualDaemonSet{}
	case group == "secrets-store.csi.x-k8s.io" && kind == "SecretProviderClass":
		return &secretProviderClass{}
	}
	return nil
}

func decodeCustom(t *testing.T, text string, into object) object {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
	return into
}

// TestCustomDecoderRefuses checks that custom kinds are decoded strictly too.
func TestCustomDecoderRefuses(t *testing.T) {
	for _, text := range []string{
		"kind: VirtualDaemonSet\nspec: {templates: {}}\n", "kind: VirtualDaemonSet\nspec: {template: {spec: {containerz: []}}}\n",
		"kind: SecretProviderClass\nspec: {provider: skr, parameter: {}}\n", "kind: SecretProviderClass\nspec: {parameters: {objects: []}}\n",
	} {
		into := custom("virtualdaemonsets.aci.azure.microsoft.com", "VirtualDaemonSet")
		if strings.Contains(text, "SecretProviderClass") {
			into = custom("secrets-store.csi.x-k8s.io", "SecretProviderClass")
		}
		if err := yaml.UnmarshalStrict([]byte(text), into); err == nil {
			t.Errorf("this is accepted:\n%s", text)
		}
	}
}

// TestVirtualDaemonSet checks that skr runs beside every pod but companions, and shares a directory and a user with
// the application.
func TestVirtualDaemonSet(t *testing.T) {
	set, ok := renders(t)["virtualnodes/skr.yaml"][0].(*virtualDaemonSet)
	if !ok {
		t.Fatal("skr.yaml has no VirtualDaemonSet")
	}
	if embedded := set.Spec.Template.TypeMeta; embedded != set.TypeMeta { // x-kubernetes-embedded-resource
		t.Errorf("the template is %+v, and the definition demands a version and a kind", embedded)
	}
	selector := set.Spec.Selector
	if len(selector.MatchLabels) != 0 || len(selector.MatchExpressions) != 1 ||
		selector.MatchExpressions[0].Key != "virtualdaemonset.kubernetes.io/virtualdaemonset" ||
		selector.MatchExpressions[0].Operator != meta.LabelSelectorOpDoesNotExist {
		t.Errorf("selector %+v", selector)
	}
	companion := pod{"VirtualDaemonSet", set.Name, set.Spec.Template.PodTemplateSpec}
	application := pods(renders(t)["virtualnodes/application.yaml"])[0]
	ours, theirs := companion.template.Spec, application.template.Spec
	if ours.Volumes[0].HostPath.Path != theirs.Volumes[0].HostPath.Path || ours.NodeName != theirs.NodeName || set.Namespace != "shop" {
		t.Errorf("volumes %+v and %+v", ours.Volumes, theirs.Volumes)
	}
	if *ours.Containers[0].SecurityContext.RunAsUser != *theirs.Containers[0].SecurityContext.RunAsUser {
		t.Error("the application's user may not open the socket")
	}
	if got := variable(companion, "SKR_LISTEN"); got != "unix:"+theirs.Containers[0].VolumeMounts[0].MountPath+"/skr.sock" {
		t.Errorf("skr listens on %s", got)
	}
	checkPlaceholder(t, companion)
}

// TestCSIProvider checks that the driver finds the provider under its name, and that a pod of the example may read
// its files.
func TestCSIProvider(t *testing.T) {
	found := renders(t)
	provider := pods(found["csi/provider.yaml"])[0].template.Spec
	if args := provider.Containers[0].Args; !slices.Equal(args, []string{"csi-provider", "--socket", "/provider/skr.sock"}) {
		t.Errorf("arguments %q", args)
	}
	if path := provider.Volumes[0].HostPath.Path; path != "/var/run/secrets-store-csi-providers" {
		t.Errorf("the socket is in %s", path)
	}
	class, ok := found["csi/application.yaml"][0].(*secretProviderClass)
	if !ok || class.Spec.Provider+".sock" != "skr.sock" {
		t.Fatalf("the class is %+v", found["csi/application.yaml"][0])
	}
	application := pods(found["csi/application.yaml"])[0].template.Spec
	volume := application.Volumes[0].CSI
	if volume == nil || volume.Driver != "secrets-store.csi.k8s.io" || volume.ReadOnly == nil || !*volume.ReadOnly ||
		volume.VolumeAttributes["secretProviderClass"] != class.Name || application.SecurityContext.FSGroup == nil {
		t.Errorf("volume %+v of %+v", volume, application.SecurityContext)
	}
}
