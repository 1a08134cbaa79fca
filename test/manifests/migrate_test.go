package manifests

import (
	"bytes"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const endorsements = "/opt/confidential-containers/"

// migrations returns what skrctl migrate makes of the manifests for kata-cc: those of the project, and
// those that its own tests use.
func migrations(t *testing.T, to string) map[string][]object {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), root+"/deploy/kustomize/example")
	if err != nil {
		t.Fatal(err)
	}
	built, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	inputs := map[string][]byte{
		"kafka": read(t, root+"/deploy/kafka/consumer.yaml"), "kustomize": built,
		"patch": read(t, root+"/deploy/kustomize/aks-kata/patch.yaml"),
		"chart": []byte(rendered(t, valuesOf(t, chartDirectory+"/ci/aks-kata-values.yaml"))),
	}
	for _, file := range glob(t, root+"/internal/operator/migrate/testdata/*.yaml") {
		inputs[filepath.Base(file)] = read(t, file)
	}
	if len(inputs) < 6 {
		t.Fatalf("only %d inputs", len(inputs))
	}
	all := map[string][]object{}
	for name, text := range inputs {
		run := exec.Command(skrctl, "migrate", "-f", "-", "--to", to)
		run.Stdin = bytes.NewReader(text)
		out, err := run.Output() // exit code 3 with a whole result: an object cannot run on the platform
		if err != nil && (name != "kinds.yaml" || to != "aci-vn2" || run.ProcessState.ExitCode() != 3) {
			t.Fatalf("%s to %s: %v", name, to, err)
		}
		all[name] = decode(t, string(out))
	}
	return all
}

// TestMigrations checks that the strict decoder takes what skrctl migrate writes, and that nothing of
// kata-cc is left in it.
func TestMigrations(t *testing.T) {
	for _, to := range []string{"aci-vn2", "aks-cvm", "coco"} {
		sidecars := 0
		for name, objects := range migrations(t, to) {
			for _, p := range pods(objects) {
				if p.kind == "DaemonSet" && to == "aci-vn2" || p.name == "web" {
					continue // unchanged: it cannot run there, or is not for kata-cc
				}
				checkMigrated(t, name, to, p)
				for _, c := range skrContainers(p) {
					sidecars++
					checkMigratedSidecar(t, name, to, p, c)
				}
			}
		}
		if sidecars < 6 {
			t.Errorf("%s: only %d sidecars were found", to, sidecars)
		}
	}
}

func checkMigrated(t *testing.T, name, to string, p pod) {
	t.Helper()
	spec := p.template.Spec
	class := ""
	if spec.RuntimeClassName != nil {
		class = *spec.RuntimeClassName
	}
	if want := map[string]string{"coco": "kata-remote"}[to]; class != want {
		t.Errorf("%s to %s: runtime class %q, want %q", name, to, class, want)
	}
	for label, value := range map[string]map[string]string{
		"aci-vn2": {"virtualization": "virtualnode2"}, "aks-cvm": {"kubernetes.azure.com/security-type": "ConfidentialVM"},
	}[to] {
		if spec.NodeSelector[label] != value {
			t.Errorf("%s to %s: nodes %v", name, to, spec.NodeSelector)
		}
	}
	tolerated := slices.ContainsFunc(spec.Tolerations, func(o core.Toleration) bool { return o.Key == "virtual-kubelet.io/provider" })
	if to == "aci-vn2" && !tolerated {
		t.Errorf("%s to %s: tolerations %v", name, to, spec.Tolerations)
	}
	if _, found := p.template.Annotations["io.katacontainers.config.agent.policy"]; found {
		t.Errorf("%s to %s: it has the policy of kata-cc's agent", name, to)
	}
	names := map[string]bool{}
	for _, volume := range spec.Volumes {
		names[volume.Name] = true
		if volume.HostPath != nil && strings.HasPrefix(volume.HostPath.Path, endorsements) {
			t.Errorf("%s to %s: volume %s shows an endorsement", name, to, volume.Name)
		}
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		for _, mount := range c.VolumeMounts {
			if !names[mount.Name] {
				t.Errorf("%s to %s: container %s mounts %s, which is no volume of %v", name, to, c.Name, mount.Name, slices.Collect(maps.Keys(names)))
			}
		}
	}
}

func skrContainers(p pod) (found []core.Container) {
	for _, c := range slices.Concat(p.template.Spec.InitContainers, p.template.Spec.Containers) {
		if c.Name == "skr" {
			found = append(found, c)
		}
	}
	return found
}

// placeholder is what a virtual node replaces in the values of variables.
const placeholder = "===VIRTUALNODE2.CC.THIM.ENDPOINT==="

// checkMigratedSidecar checks that skr starts with the settings, and that they lead to the evidence.
func checkMigratedSidecar(t *testing.T, name, to string, p pod, c core.Container) {
	t.Helper()
	environment := map[string]string{}
	var given []string
	for _, v := range c.Env {
		environment[v.Name] = v.Value
		given = append(given, v.Name+"="+strings.ReplaceAll(v.Value, placeholder, "http://169.254.128.1:2377/metadata/THIM/amd/certification"))
	}
	accepts(t, name+" to "+to, c.Args, given)
	mounted := slices.ContainsFunc(c.VolumeMounts, func(m core.VolumeMount) bool { return m.MountPath == "/run/skr" && m.ReadOnly })
	switch to {
	case "aci-vn2":
		if environment["VN2_THIM_ENDPOINT"] != placeholder {
			t.Errorf("%s to %s: environment %v", name, to, environment)
		}
	case "aks-cvm":
		if environment["SKR_TPM"] != "unix:/run/skr/tpm.sock" || !mounted || c.SecurityContext == nil || *c.SecurityContext.RunAsGroup != 65532 {
			t.Errorf("%s to %s: %s lacks the agent's sockets: %v, %v", name, to, p.name, environment, c.VolumeMounts)
		}
	}
}
