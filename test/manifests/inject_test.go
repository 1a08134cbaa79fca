package manifests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

const injectedImage = "registry.example/skr@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// injectable returns manifests without a sidecar: those of the project, and those that the tests of inject use.
func injectable(t *testing.T) map[string][]byte {
	t.Helper()
	files := []string{root + "/deploy/virtualnodes/application.yaml", root + "/deploy/kustomize/example/application.yaml", root + "/deploy/kafka/producer.yaml"}
	found := map[string][]byte{}
	for _, file := range files {
		found[filepath.Base(filepath.Dir(file))] = read(t, file)
	}
	for _, file := range glob(t, root+"/internal/operator/inject/testdata/*") {
		if !strings.HasPrefix(filepath.Base(file), "group") {
			found[filepath.Base(file)] = read(t, file)
		}
	}
	if len(found) < 10 {
		t.Fatalf("only %d manifests", len(found))
	}
	return found
}

// injected returns what skrctl inject makes of a manifest.
func injected(t *testing.T, name string, text []byte, flags ...string) string {
	t.Helper()
	run := exec.Command(skrctl, append([]string{"inject", "-f", "-", "--image", injectedImage}, flags...)...)
	run.Stdin = bytes.NewReader(text)
	var told bytes.Buffer
	run.Stderr = &told
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%s with %q: %v\n%s", name, flags, err, &told)
	}
	return string(out)
}

// settings are flags for a sidecar that releases one key.
var settings = []string{"--alias", "orders=contoso.vault.azure.net/keys/orders", "--authority", "contoso.weu.attest.azure.net", "--listen", "localhost:8099"}

// TestInjected checks that the strict decoder takes what skrctl inject writes for each platform, that the pods are
// where the platform's evidence is, and that skr starts with the settings.
func TestInjected(t *testing.T) {
	const client, group = "11111111-1111-1111-1111-111111111111", "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
	for platform, flags := range map[string][]string{
		"aks-kata": {"--identity", client}, "cvm": {"--identity", client}, "trusted-launch": {"--vtpm", "direct", "--classic"}, "cvm-tdx": {"--vtpm", "agent"},
		"aci-vn2": {"--identity", client}, "aci": {"--identity", group, "--user", "0"},
	} {
		sidecars := 0
		for name, text := range injectable(t) {
			if strings.HasPrefix(platform, "aci") && (name == "daemonset.yaml" || name == "virtualnodes" && platform == "aci") {
				continue // it does not run there, or has another identity
			}
			flags := slices.Concat([]string{"--platform", platform}, flags, settings)
			for _, p := range pods(decode(t, documents(injected(t, name, text, flags...)))) {
				sidecars++
				checkInjected(t, name+" on "+platform, platform, p)
			}
		}
		if sidecars < 10 {
			t.Errorf("%s: only %d sidecars", platform, sidecars)
		}
	}
}

// documents writes the items of lists as documents, which the decoder of these tests takes.
func documents(text string) string {
	var all strings.Builder
	for _, document := range separator.Split(text, -1) {
		var list struct {
			Kind  string
			Items []any
		}
		if err := yaml.Unmarshal([]byte(document), &list); err != nil || list.Kind != "List" {
			all.WriteString("\n---\n" + document)
			continue
		}
		for _, item := range list.Items {
			text, _ := yaml.Marshal(item)
			all.WriteString("\n---\n" + string(text))
		}
	}
	return all.String()
}

func checkInjected(t *testing.T, where, platform string, p pod) {
	t.Helper()
	spec := p.template.Spec
	classic := platform == "aci" || platform == "trusted-launch"
	list := spec.InitContainers
	if classic {
		list = spec.Containers
	}
	if found := p.sidecars(); len(found) != 1 || len(list) == 0 || list[0].Name != "skr" || (list[0].RestartPolicy == nil) != classic {
		t.Fatalf("%s: %s %s has the sidecars %+v", where, p.kind, p.name, found)
	}
	c, class := list[0], ""
	if spec.RuntimeClassName != nil {
		class = *spec.RuntimeClassName
	}
	for label, value := range map[string]map[string]string{
		"aci-vn2": {"virtualization": "virtualnode2"}, "aci": {"virtualization": "virtualnode2"},
		"cvm":            {"kubernetes.azure.com/security-type": "ConfidentialVM"},
		"cvm-tdx":        {"kubernetes.azure.com/security-type": "ConfidentialVM", "skr/tee": "tdx"},
		"trusted-launch": {"kubernetes.azure.com/security-type": "TrustedLaunch"},
	}[platform] {
		if spec.NodeSelector[label] != value {
			t.Errorf("%s: nodes %v", where, spec.NodeSelector)
		}
	}
	if (class == "kata-cc-isolation") != (platform == "aks-kata") {
		t.Errorf("%s: runtime class %q", where, class)
	}
	volumes := map[string]bool{}
	for _, v := range spec.Volumes {
		volumes[v.Name] = true
	}
	for _, m := range c.VolumeMounts {
		if !volumes[m.Name] {
			t.Errorf("%s: %s is no volume of %v", where, m.Name, volumes)
		}
	}
	native := withNative(p, c)
	checkSidecar(t, where, pod{p.kind, p.name, native}, native.Spec.InitContainers[0])
	checkStarts(t, where, platform, c)
}

// withNative returns the template as checkSidecar expects one: with the sidecar as a native one.
func withNative(p pod, c core.Container) core.PodTemplateSpec {
	always := core.ContainerRestartPolicyAlways
	c.RestartPolicy = &always
	p.template.Spec.InitContainers = []core.Container{c}
	return p.template
}

// checkStarts checks that skr takes the variables, and that they lead to the evidence and the key.
func checkStarts(t *testing.T, where, platform string, c core.Container) {
	t.Helper()
	run := exec.Command(skr, "config")
	for _, v := range c.Env {
		value := strings.ReplaceAll(v.Value, placeholder, "http://169.254.128.1:2377/metadata/THIM/amd/certification")
		run.Env = append(run.Env, v.Name+"="+value)
	}
	out, err := run.CombinedOutput()
	if err != nil {
		t.Errorf("%s: skr does not start: %v\n%s", where, err, out)
		return
	}
	want := []string{"listen: localhost:8099", "vault: contoso.vault.azure.net", "contoso.vault.azure.net/keys/orders="}
	switch platform {
	case "cvm":
		want = append(want, "report_source: vtpm", "tpm: unix:/run/skr/tpm.sock")
	case "trusted-launch":
		want = append(want, "report_source: vtpm", "tpm: /dev/tpmrm0")
	case "aci", "aci-vn2":
		want = append(want, "because of VN2_THIM_ENDPOINT")
	}
	for _, line := range want {
		if !strings.Contains(string(out), line) {
			t.Errorf("%s: the configuration lacks %q:\n%s", where, line, out)
		}
	}
}

// TestInjectedIsRestricted checks that the sidecar breaks no rule of the "restricted" standard but the one about
// volumes, which docs/inject.md names.
func TestInjectedIsRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	text := read(t, root+"/deploy/kustomize/example/application.yaml")
	for platform, rules := range map[string][]string{"aci-vn2": nil, "aks-kata": {"restricted volume types"}, "cvm": {"restricted volume types"}} {
		p := pods(decode(t, injected(t, platform, text, "--platform", platform)))[0]
		var broken []string
		for _, result := range evaluator.EvaluatePod(restricted, &p.template.ObjectMeta, &p.template.Spec) {
			if !result.Allowed {
				broken = append(broken, result.ForbiddenReason)
			}
		}
		if !slices.Equal(broken, rules) {
			t.Errorf("%s breaks %q, may break %q", platform, broken, rules)
		}
	}
}

// TestInjectedGroup checks that a container group is as the template of deploy/aci: confidential, with skr first, and
// skr starts with its variables.
func TestInjectedGroup(t *testing.T) {
	for _, file := range []string{"group.json", "group.yaml"} {
		text := injected(t, file, read(t, root+"/internal/operator/inject/testdata/"+file), settings...)
		asJSON, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if file == "group.yaml" {
			asJSON = fmt.Appendf(nil, `{"resources":[%s]}`, asJSON)
		}
		var arm armTemplate
		if err := json.Unmarshal(asJSON, &arm); err != nil {
			t.Fatal(err)
		}
		group := arm.Resources[0].Properties
		sidecar := group.Containers[0]
		security := sidecar.Properties.SecurityContext
		if group.SKU != "Confidential" || len(group.Containers) != 2 || sidecar.Name != "skr" || !slices.Equal(sidecar.Properties.Command, []string{"/bin/skr"}) ||
			*security.AllowPrivilegeEscalation || !slices.Equal(security.Capabilities.Drop, []string{"ALL"}) ||
			!slices.Equal(sidecar.Properties.ReadinessProbe.Exec.Command, []string{"/bin/skr", "healthcheck"}) {
			t.Errorf("%s: the group is\n%s", file, text)
		}
		var c core.Container
		for _, v := range sidecar.Properties.EnvironmentVariables {
			c.Env = append(c.Env, core.EnvVar{Name: v.Name, Value: v.Value})
		}
		checkStarts(t, file, "group", c)
	}
}
