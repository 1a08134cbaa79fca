package manifests

import (
	"maps"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
)

// TestSidecar checks the sidecar in each pod.
func TestSidecar(t *testing.T) {
	for name, objects := range renders(t) {
		if strings.HasPrefix(name, "kafka/") {
			continue // as in the documentation of AKS
		}
		for _, p := range pods(objects) {
			found := p.sidecars()
			if without := strings.HasSuffix(name, "/application.yaml"); p.kind != "DaemonSet" && len(found) != 1 && !without {
				t.Errorf("%s: %s %s has %d sidecars", name, p.kind, p.name, len(found))
			}
			for _, c := range found {
				checkSidecar(t, name, p, c)
			}
		}
	}
}

func checkSidecar(t *testing.T, name string, p pod, c core.Container) {
	t.Helper()
	if c.TerminationMessagePolicy != core.TerminationMessageFallbackToLogsOnError {
		t.Errorf("%s: skr's last output does not become the termination message", name)
	}
	if s := c.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
		t.Errorf("%s: the root file system of skr is writable", name)
	}
	if p.kind == "DaemonSet" {
		return
	}
	if c.StartupProbe == nil || c.ReadinessProbe == nil || c.Resources.Limits.Memory().IsZero() {
		t.Errorf("%s: skr has no probes or no limit of memory", name)
	}
	isInit := len(p.template.Spec.InitContainers) > 0 && p.template.Spec.InitContainers[0].Name == c.Name
	isNative := c.RestartPolicy != nil && *c.RestartPolicy == core.ContainerRestartPolicyAlways
	plain := map[string]bool{"helm/plain-values.yaml": true, "helm/aci-values.yaml": true, "virtualnodes/skr.yaml": true}[name]
	if isInit == plain || isNative == plain {
		t.Errorf("%s: among the init containers %v, always restarted %v, want both %v", name, isInit, isNative, !plain)
	}
	for _, mount := range c.VolumeMounts {
		shared := p.kind == "VirtualDaemonSet" && mount.MountPath == "/run/skr" || name == "helm/statefulset-values.yaml" && mount.Name == "crypto"
		if !mount.ReadOnly && mount.MountPath != "/dev/tpmrm0" && !shared {
			t.Errorf("%s: skr may write %s", name, mount.MountPath)
		}
	}
}

// TestPlatforms checks that each platform's pods have access to its evidence.
func TestPlatforms(t *testing.T) {
	vm := func(kind string) map[string]string {
		return map[string]string{"kubernetes.azure.com/security-type": kind}
	}
	for name, want := range map[string]struct {
		class    string
		selector map[string]string
		label    string // the workload identity label
		mount    string
	}{
		"aci":            {"", map[string]string{"virtualization": "virtualnode2"}, "", ""},
		"aci-vn2":        {"", map[string]string{"virtualization": "virtualnode2"}, "", ""},
		"aks-kata":       {"kata-cc-isolation", nil, "true", "/opt/confidential-containers/share/kata-containers/reference-info-base64"},
		"cvm":            {"", vm("ConfidentialVM"), "true", "/run/skr"},
		"cvm-tdx":        {"", map[string]string{"kubernetes.azure.com/security-type": "ConfidentialVM", "skr/tee": "tdx"}, "true", "/run/skr"},
		"trusted-launch": {"", vm("TrustedLaunch"), "true", "/run/skr"},
	} {
		found := pods(renders(t)["helm/"+name+"-values.yaml"])
		if len(found) != 1 {
			t.Fatalf("%s: %d pods", name, len(found))
		}
		spec, mounts := found[0].template.Spec, found[0].sidecars()[0].VolumeMounts
		class := ""
		if spec.RuntimeClassName != nil {
			class = *spec.RuntimeClassName
		}
		if class != want.class || !maps.Equal(spec.NodeSelector, want.selector) {
			t.Errorf("%s: runtime class %q, nodes %v", name, class, spec.NodeSelector)
		}
		if label := found[0].template.Labels["azure.workload.identity/use"]; label != want.label {
			t.Errorf("%s: label of workload identity %q, want %q", name, label, want.label)
		}
		if (len(mounts) == 1) != (want.mount != "") || want.mount != "" && mounts[0].MountPath != want.mount {
			t.Errorf("%s: mounts %v, want %q", name, mounts, want.mount)
		}
		if strings.HasPrefix(name, "aci") || name == "aks-kata" {
			checkPolicy(t, name, found[0].template.Annotations)
		}
		if strings.HasPrefix(name, "aci") {
			checkPlaceholder(t, found[0])
		} else if got := variable(found[0], "VN2_THIM_ENDPOINT"); got != "" {
			t.Errorf("%s: the certificate cache is %q", name, got)
		}
	}
}

// TestVirtualNodes checks what only pods on virtual nodes have: the placeholder for the certificate
// cache, which the virtual node replaces only if it is the whole value, the identity of the container
// group or of the service account, and DNS that a confidential pod reaches.
func TestVirtualNodes(t *testing.T) {
	const (
		group  = "microsoft.containerinstance.virtualnode.identity"
		dns    = "microsoft.containerinstance.virtualnode.injectdns"
		client = "11111111-1111-1111-1111-111111111111"
	)
	values := valuesOf(t, chartDirectory+"/ci/aci-vn2-values.yaml")
	assigned := pods(decode(t, rendered(t, values)))[0]
	checkPlaceholder(t, assigned)
	if id := assigned.template.Annotations[group]; !strings.HasPrefix(id, "/subscriptions/") || variable(assigned, "SKR_CLIENT_ID") != client {
		t.Errorf("identity %q with client id %q", id, variable(assigned, "SKR_CLIENT_ID"))
	}
	tolerations := assigned.template.Spec.Tolerations
	if len(tolerations) != 1 || tolerations[0].Key != "virtual-kubelet.io/provider" || tolerations[0].Operator != core.TolerationOpExists {
		t.Errorf("tolerations %v", tolerations)
	}
	if got := assigned.template.Annotations[dns]; got != "false" {
		t.Errorf("%s is %q", dns, got)
	}

	values["identity"] = map[string]any{"clientId": client}
	template := values["application"].(map[string]any)["template"].(map[string]any)
	template["metadata"] = map[string]any{"annotations": map[string]any{dns: "true"}}
	federated := pods(decode(t, rendered(t, values)))[0]
	checkPlaceholder(t, federated)
	if federated.template.Labels["azure.workload.identity/use"] != "true" || federated.template.Annotations[group] != "" ||
		variable(federated, "SKR_CLIENT_ID") != "" {
		t.Errorf("workload identity: labels %v, annotations %v", federated.template.Labels, federated.template.Annotations)
	}
	if got := federated.template.Annotations[dns]; got != "true" {
		t.Errorf("the application's %s became %q", dns, got)
	}

	values["sidecar"] = map[string]any{"native": false}
	if plain := pods(decode(t, rendered(t, values)))[0].template.Spec; len(plain.InitContainers) != 0 || len(plain.Containers) != 2 {
		t.Errorf("sidecar.native=false: %d init containers, %d containers", len(plain.InitContainers), len(plain.Containers))
	}
}

func checkPlaceholder(t *testing.T, p pod) {
	t.Helper()
	if got := variable(p, "VN2_THIM_ENDPOINT"); got != "===VIRTUALNODE2.CC.THIM.ENDPOINT===" {
		t.Errorf("the certificate cache is %q", got)
	}
}

// variable returns the value of the sidecar's variable.
func variable(p pod, name string) string {
	for _, v := range p.sidecars()[0].Env {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

// checkPolicy checks that the execution policy is in the annotation that the
// platform reads.
func checkPolicy(t *testing.T, platform string, annotations map[string]string) {
	t.Helper()
	name := "microsoft.containerinstance.virtualnode.ccepolicy"
	if platform == "aks-kata" {
		name = "io.katacontainers.config.agent.policy"
	}
	if annotations[name] != "cGFja2FnZSBwb2xpY3kK" {
		t.Errorf("%s: annotations %v, want the policy as %s", platform, annotations, name)
	}
}

// TestApplicationIsKept checks that the contents of the application's pod
// template are kept.
func TestApplicationIsKept(t *testing.T) {
	values := map[string]any{"platform": "cvm", "application": map[string]any{"template": map[string]any{
		"metadata": map[string]any{"labels": map[string]any{"team": "shop"}, "annotations": map[string]any{"a": "b"}},
		"spec": map[string]any{
			"initContainers":     []any{map[string]any{"name": "first", "image": "i"}},
			"containers":         []any{map[string]any{"name": "app", "image": "i"}},
			"volumes":            []any{map[string]any{"name": "data", "emptyDir": map[string]any{}}},
			"nodeSelector":       map[string]any{"disk": "fast"},
			"tolerations":        []any{map[string]any{"key": "k", "operator": "Exists"}},
			"serviceAccountName": "mine",
		},
	}}}
	found := pods(decode(t, rendered(t, values)))[0].template
	spec := found.Spec
	if len(spec.InitContainers) != 2 || spec.InitContainers[0].Name != "skr" || spec.InitContainers[1].Name != "first" {
		t.Errorf("init containers %v: the application's come after the sidecar", spec.InitContainers)
	}
	if len(spec.Volumes) != 2 || len(spec.NodeSelector) != 2 || len(spec.Tolerations) != 1 || spec.ServiceAccountName != "mine" {
		t.Errorf("parts of the application's pod are missing: %+v", spec)
	}
	if found.Labels["team"] != "shop" || found.Annotations["a"] != "b" {
		t.Errorf("labels %v, annotations %v", found.Labels, found.Annotations)
	}
}
