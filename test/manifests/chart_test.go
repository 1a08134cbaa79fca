package manifests

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

// TestLint checks the chart with `helm lint --strict` and each of its values
// files.
func TestLint(t *testing.T) {
	for _, file := range append(glob(t, chartDirectory+"/ci/*-values.yaml"), chartDirectory+"/values.yaml") {
		for _, message := range lint.AllWithKubeVersion(chartDirectory, valuesOf(t, file), "shop", &kubeVersion).Messages {
			if message.Severity > support.InfoSev {
				t.Errorf("%s: %v", file, message)
			}
		}
	}
}

// TestHelm checks that the helm program agrees with its libraries. It uses HELM
// or the program in PATH.
func TestHelm(t *testing.T) {
	helm := os.Getenv("HELM")
	if helm == "" {
		var err error
		if helm, err = exec.LookPath("helm"); err != nil {
			t.Skip("helm is not installed (go install helm.sh/helm/v3/cmd/helm@v3.22.0): only its libraries were tested")
		}
	}
	for _, file := range glob(t, chartDirectory+"/ci/*-values.yaml") {
		flags := []string{"--kube-version", kubeVersion.Version, "--namespace", "shop", "--values", file}
		if out, err := exec.Command(helm, append([]string{"lint", "--strict", chartDirectory}, flags...)...).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		out, err := exec.Command(helm, append([]string{"template", "orders", chartDirectory}, flags...)...).CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
			continue
		}
		if got, want := len(decode(t, string(out))), len(decode(t, rendered(t, valuesOf(t, file)))); got != want {
			t.Errorf("%s: helm renders %d manifests, its library %d", file, got, want)
		}
	}
}

// TestSchemaRefuses checks that a misspelt value, a value of the wrong type or
// an impossible value gives one clear error.
func TestSchemaRefuses(t *testing.T) {
	for want, set := range map[string]map[string]any{
		"platform":      {"platform": "sgx"},
		"plattform":     {"plattform": "aci"},
		"vault_alow":    {"sidecar": map[string]any{"settings": map[string]any{"vault_alow": []any{"x"}}}},
		"kek_bits":      {"sidecar": map[string]any{"settings": map[string]any{"kek_bits": "many"}}},
		"SKR_KEK_BITS":  {"sidecar": map[string]any{"environment": map[string]any{"SKR_KEK_BITS": "2048"}}},
		"digest":        {"image": map[string]any{"digest": "latest"}},
		"clientId":      {"identity": map[string]any{"clientId": "me"}},
		"port":          {"ops": map[string]any{"port": 70000}},
		"access":        {"vtpm": map[string]any{"access": "none"}},
		"agent.enabled": {"agent": map[string]any{"enabled": true}},
		"no metrics":    {"ops": map[string]any{"port": 0, "podMonitor": map[string]any{"enabled": true}}},
	} {
		values := valuesOf(t, chartDirectory+"/ci/aks-kata-values.yaml")
		maps.Copy(values, set)
		if _, err := template(t, values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want an error about %s", set, err, want)
		}
	}
}

// property is a part of a JSON schema.
type property struct {
	Description          string
	Type                 string
	AdditionalProperties json.RawMessage
	Properties           map[string]property
}

func schema(t *testing.T) (whole property) {
	t.Helper()
	if err := json.Unmarshal(read(t, chartDirectory+"/values.schema.json"), &whole); err != nil {
		t.Fatal(err)
	}
	return whole
}

// leaves returns the values that have a description, by their paths.
func (p property) leaves(path string) map[string]property {
	if p.Description != "" {
		return map[string]property{path: p}
	}
	found := map[string]property{}
	for name, child := range p.Properties {
		maps.Copy(found, child.leaves(strings.TrimPrefix(path+"."+name, ".")))
	}
	return found
}

// TestDocumentedValues checks that the schema, values.yaml and the table of
// docs/deployment.md agree.
func TestDocumentedValues(t *testing.T) {
	values, leaves := valuesOf(t, chartDirectory+"/values.yaml"), schema(t).leaves("")
	delete(leaves, "global")
	var table strings.Builder
	table.WriteString("| value | default | meaning |\n|---|---|---|\n")
	for _, path := range slices.Sorted(maps.Keys(leaves)) {
		value, found := at(values, path)
		if !found {
			t.Errorf("values.yaml has no %s", path)
		}
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&table, "| `%s` | `%s` | %s |\n", path, text, leaves[path].Description)
	}
	if !strings.Contains(string(read(t, root+"/docs/deployment.md")), table.String()) {
		t.Errorf("docs/deployment.md must contain this table:\n%s", table.String())
	}
}

func at(values map[string]any, path string) (any, bool) {
	name, rest, deeper := strings.Cut(path, ".")
	value, found := values[name]
	if !deeper {
		return value, found
	}
	child, _ := value.(map[string]any)
	return at(child, rest)
}

// TestSchemaIsStrict checks that the schema admits only the members that it
// lists.
func TestSchemaIsStrict(t *testing.T) {
	var check func(path string, p property)
	check = func(path string, p property) {
		if len(p.Properties) > 0 && string(p.AdditionalProperties) != "false" {
			t.Errorf("%s: admits unlisted members", path)
		}
		for name, child := range p.Properties {
			check(path+"."+name, child)
		}
	}
	check("", schema(t))
}

// TestNotes checks that the notes say what is missing.
func TestNotes(t *testing.T) {
	notes := func(file string, set map[string]any) string {
		values := valuesOf(t, chartDirectory+"/ci/"+file+"-values.yaml")
		maps.Copy(values, set)
		files, err := template(t, values)
		if err != nil {
			t.Fatal(err)
		}
		return files["skr/templates/NOTES.txt"]
	}
	for want, text := range map[string]string{
		"NO EXECUTION POLICY":                     notes("aks-kata", map[string]any{"executionPolicy": ""}),
		"agent.enabled=true":                      notes("cvm", nil),
		"No identity":                             notes("cvm", map[string]any{"identity": map[string]any{}}),
		"is privileged":                           notes("direct", nil),
		"pod-security.kubernetes.io/enforce=priv": notes("agent", nil),
		"do not enforce NetworkPolicies":          notes("aci-vn2", nil),
		"a network security group, or set ops":    notes("aci", nil),
		"logs statefulset/ledger-db -c skr":       notes("statefulset", nil),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the notes lack %q:\n%s", want, text)
		}
	}
	if text := notes("aci-vn2", map[string]any{"identity": map[string]any{}}); !strings.Contains(text, "No identity") {
		t.Errorf("the notes do not say that an identity is missing:\n%s", text)
	}
	if text := notes("aks-kata", nil); strings.Contains(text, "NO EXECUTION POLICY") || strings.Contains(text, "No identity") {
		t.Errorf("the notes ask for values that are set:\n%s", text)
	}
}
