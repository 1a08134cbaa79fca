package manifests

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

type armTemplate struct {
	Parameters map[string]struct {
		DefaultValue any
	}
	Resources []struct {
		Type, APIVersion string
		Properties       struct {
			SKU                           string
			ConfidentialComputeProperties struct{ CCEPolicy string }
			Containers                    []struct {
				Name       string
				Properties struct {
					Command              []string
					Ports                []any
					EnvironmentVariables []struct{ Name, Value string }
					ReadinessProbe       struct{ Exec struct{ Command []string } }
					SecurityContext      struct {
						AllowPrivilegeEscalation *bool
						Privileged               bool
						Capabilities             struct{ Drop []string }
					}
				}
			}
		}
	}
}

// TestARMTemplate checks that the ARM template is a confidential container
// group with the sidecar beside the application, and that every parameter has a
// value and is used.
func TestARMTemplate(t *testing.T) {
	text := read(t, root+"/deploy/aci/template.json")
	var arm armTemplate
	if err := json.Unmarshal(text, &arm); err != nil {
		t.Fatal(err)
	}
	if len(arm.Resources) != 1 || arm.Resources[0].Type != "Microsoft.ContainerInstance/containerGroups" || arm.Resources[0].Properties.SKU != "Confidential" {
		t.Fatalf("%+v is not a confidential container group", arm.Resources)
	}
	group := arm.Resources[0].Properties
	if len(group.Containers) != 2 || group.Containers[0].Name != "skr" {
		t.Fatalf("containers %+v", group.Containers)
	}
	skr := group.Containers[0].Properties
	if !slices.Equal(skr.Command, []string{"/bin/skr"}) || len(skr.Ports) != 0 ||
		!slices.Equal(skr.ReadinessProbe.Exec.Command, []string{"/bin/skr", "healthcheck"}) {
		t.Errorf("skr runs %q, probed by %q, with ports %v", skr.Command, skr.ReadinessProbe.Exec.Command, skr.Ports)
	}
	for _, c := range group.Containers {
		s := c.Properties.SecurityContext
		if s.Privileged || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
			t.Errorf("%s: security context %+v", c.Name, s)
		}
	}
	known := fields(t)
	for _, variable := range skr.EnvironmentVariables {
		if !isSetting(known, variable.Name) {
			t.Errorf("skr has no variable %s", variable.Name)
		}
	}
	checkParameters(t, arm, string(text))
}

// TestARMTemplateFindsCertificates checks that skr asks the host's proxy with the variables of
// the template and the one that ACI sets.
func TestARMTemplateFindsCertificates(t *testing.T) {
	var arm armTemplate
	if err := json.Unmarshal(read(t, root+"/deploy/aci/template.json"), &arm); err != nil {
		t.Fatal(err)
	}
	run := exec.Command(skr, "config")
	run.Env = []string{"Fabric_NodeIPOrFQDN=10.92.0.26"}
	for _, variable := range arm.Resources[0].Properties.Containers[0].Properties.EnvironmentVariables {
		value := strings.NewReplacer("[concat(parameters('akvEndpoint'), '/keys/', parameters('keyName'))]", "contoso.vault.azure.net/keys/orders",
			"[parameters('maaEndpoint')]", "contoso.weu.attest.azure.net").Replace(variable.Value)
		run.Env = append(run.Env, variable.Name+"="+value)
	}
	out, err := run.Output()
	if want := "http://10.92.0.26:2377/metadata/THIM/amd/certification, because of Fabric_NodeIPOrFQDN"; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("got %v\n%s\nwant %q", err, out, want)
	}
}

func checkParameters(t *testing.T, arm armTemplate, text string) {
	t.Helper()
	var given struct {
		Parameters map[string]struct{ Value any }
	}
	if err := json.Unmarshal(read(t, root+"/deploy/aci/parameters.json"), &given); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, match := range regexp.MustCompile(`parameters\('(\w+)'\)`).FindAllStringSubmatch(text, -1) {
		used[match[1]] = true
		if _, is := arm.Parameters[match[1]]; !is {
			t.Errorf("the parameter %s is used but not declared", match[1])
		}
	}
	for name, parameter := range arm.Parameters {
		if _, is := given.Parameters[name]; !used[name] || !is && parameter.DefaultValue == nil {
			t.Errorf("the parameter %s is not used, or has no value", name)
		}
	}
	for name := range given.Parameters {
		if _, is := arm.Parameters[name]; !is {
			t.Errorf("parameters.json has %s, which the template lacks", name)
		}
	}
}

// TestARMTemplateIsMeasured checks that `skrctl measure` prints the group's
// HOST_DATA once the policy is in place, and refuses the placeholder.
func TestARMTemplateIsMeasured(t *testing.T) {
	text := string(read(t, root+"/deploy/aci/template.json"))
	const placeholder = `"ccePolicy": ""`
	if strings.Count(text, placeholder) != 1 {
		t.Fatalf("the template has no %s", placeholder)
	}
	file := filepath.Join(t.TempDir(), "template.json")
	for content, want := range map[string]string{
		strings.Replace(text, placeholder, `"ccePolicy": "cGFja2FnZSBwb2xpY3kK"`, 1): "89d09cb5",
		text: "",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(skrctl, "policy", "measure", file).Output()
		if (err == nil) != (want != "") || !strings.HasPrefix(string(out), want) {
			t.Errorf("got %s, %v, want %q", out, err, want)
		}
	}
}
