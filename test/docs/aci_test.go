package docs

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"skr/test/program"
)

// azure replaces the blocks of the Azure CLI, found by a line in them, with
// commands that create the same state on the emulator. The extension's policy
// is replaced with a fixed text, which the emulated machine uses too.
var azure = []standIn{
	{"az attestation create", `
export IDENTITY=/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/orders
export REGISTRY=contosoorders.azurecr.io
printf 'package policy\n\nallow := false\n' >cce.rego
skr-emulator serve --cce-policy cce.rego --key orders/other >env.sh &
until grep -q '^# ready' env.sh; do sleep 0.1; done
. ./env.sh
export MAA=$MAA_ENDPOINT VAULT=$AKV_ENDPOINT
`},
	{"az role assignment create", ""},
	{"az acr login", ""},
	{"az confcom acipolicygen", `sed -i "s|\"ccePolicy\": \"\"|\"ccePolicy\": \"$(base64 -w0 cce.rego)\"|" template.json` + "\n"},
	{"az deployment group create", `
resolve template.json parameters.json >group.sh
. ./group.sh
skr 2>skr.log &
skr healthcheck --wait 20s
`},
	{"az group delete", ""},
}

// TestConfidentialACI follows docs/aci.md to a released key with the template
// of deploy/aci: skr runs with the environment from the template.
func TestConfidentialACI(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	bin := filepath.Join(dir, "bin")
	build(t, bin)
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(here, "deploy"), filepath.Join(dir, "deploy")); err != nil {
		t.Fatal(err)
	}
	itself, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	prelude := fmt.Sprintf("export PATH=%s:$PATH\nresolve() { RESOLVE=$1 PARAMETERS=$2 %s; }\n", bin, itself)
	text, err := os.ReadFile(root + "/docs/aci.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := strings.ReplaceAll(walk(t, string(text), azure), "8080", port)
	commands = strings.ReplaceAll(commands, ". ./group.sh", "sed -i s/8080/"+port+"/ group.sh\n. ./group.sh")
	out := runScript(t, dir, prelude+commands)
	for _, want := range []string{`{"ready":true,"parts":{"audit":"ok","evidence":"ok"}}`, `{"key":"{`, "wrote orders-pub.pem", `containerGroups "`} {
		if !strings.Contains(out, want) {
			t.Errorf("the walkthrough does not print %s:\n%.4000s", want, out)
		}
	}
}

// TestMain runs the tests, or stands in for Azure Resource Manager: then it
// prints the environment that a template gives to skr.
func TestMain(m *testing.M) {
	if template := os.Getenv("RESOLVE"); template != "" {
		if err := printEnvironment(template, os.Getenv("PARAMETERS")); err != nil {
			panic(err)
		}
		return
	}
	if manifest := os.Getenv("INJECTED"); manifest != "" {
		if err := printInjected(manifest); err != nil {
			panic(err)
		}
		return
	}
	program.Main(m, programs...)
}

func printEnvironment(templateFile, parametersFile string) error {
	var template struct {
		Resources []struct {
			Properties struct {
				Containers []struct {
					Name       string
					Properties struct {
						EnvironmentVariables []struct{ Name, Value string }
					}
				}
			}
		}
	}
	var given struct {
		Parameters map[string]struct{ Value string }
	}
	if err := errors.Join(parse(templateFile, &template), parse(parametersFile, &given)); err != nil {
		return err
	}
	for _, container := range template.Resources[0].Properties.Containers {
		if container.Name != "skr" {
			continue
		}
		for _, variable := range container.Properties.EnvironmentVariables {
			fmt.Printf("export %s='%s'\n", variable.Name, resolve(variable.Value, func(name string) string { return given.Parameters[name].Value }))
		}
	}
	return nil
}

func parse(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

var term = regexp.MustCompile(`parameters\('(\w+)'\)|'([^']*)'`)

// resolve evaluates an ARM template expression: a text, a parameter, or concat
// of these.
func resolve(text string, parameter func(string) string) string {
	if !strings.HasPrefix(text, "[") {
		return text
	}
	var value strings.Builder
	for _, found := range term.FindAllStringSubmatch(text, -1) {
		value.WriteString(found[2])
		if found[1] != "" {
			value.WriteString(parameter(found[1]))
		}
	}
	return value.String()
}
