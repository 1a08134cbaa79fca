package docs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// injectStart starts an emulated cloud whose machine has the execution policy that the stand-in for genpolicy writes
// into the annotation of the pod.
const injectStart = `
export DIGEST=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
export REGISTRY=contoso.azurecr.io
printf 'package agent_policy\n\ndefault CreateContainerRequest := false\n' >policy.rego
genpolicy() {
	sed "0,/^      annotations:/s|^      annotations:|&\n        io.katacontainers.config.agent.policy: $(base64 -w0 policy.rego)|"
}
printf 'log_level: debug\nlisten: localhost:8081\n' >skr.yaml
skr-emulator serve --platform aks-kata --cce-policy policy.rego --key demo/another >env.sh & cloud=$!
until grep -qs '^# ready' env.sh; do kill -0 $cloud && sleep 0.1; done
. ./env.sh
export VAULT=$AKV_ENDPOINT MAA=$MAA_ENDPOINT
export CLIENT_ID=$(curl -sf -H Metadata:true "$SKR_IMDS_URL/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://${VAULT#*.}" |
	sed 's/.*"client_id":"\([^"]*\)".*/\1/')
printf 'maa_allow: ["%s"]\nvault_allow: ["%s"]\n' $MAA $VAULT >hosts.yaml
`

// TestInject follows docs/inject.md: skr starts with the variables of the injected container, and the key is released
// by its alias. Removing from the file with the policy leaves only the policy.
func TestInject(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	bin := filepath.Join(dir, "bin")
	build(t, bin)
	itself, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(root + "/docs/inject.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := walk(t, string(text), []standIn{{"kubectl apply -f orders-skr.yaml", fmt.Sprintf(`
INJECTED=orders-skr.yaml %s >pod.sh
. ./pod.sh
export SKR_LISTEN=localhost:8080
skr 2>skr.log &
skr healthcheck --wait 20s
unset SKR_LISTEN
`, itself)}})
	commands = strings.ReplaceAll(commands, "localhost:8080", "localhost:"+port)
	commands = strings.Replace(commands, "--authority $MAA |", "--authority $MAA --settings hosts.yaml |", 1) // its hosts are not Azure's
	commands = strings.ReplaceAll(commands, "asks localhost:"+port, "asks localhost:8080")
	out := runScript(t, dir, "export PATH="+bin+":$PATH\n"+injectStart+commands)
	for _, want := range []string{`skrctl: changed: Deployment "orders": container skr is added`, `  Deployment "orders"`, "wrote orders-pub.pem", `{"key":"{`} {
		if !strings.Contains(out, want) {
			t.Errorf("the page does not print %s:\n%.4000s", want, out)
		}
	}
	file := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	_, after, found := strings.Cut(file("without.yaml"), "      annotations:\n        io.katacontainers.config.agent.policy: ")
	_, rest, _ := strings.Cut(after, "\n")
	before, _, _ := strings.Cut(file("without.yaml"), "      annotations:\n")
	if !found || before+rest != file("orders.yaml") {
		t.Errorf("what is left is not the policy alone:\n%s", file("without.yaml"))
	}
}

// printInjected prints the environment that a manifest gives to skr. It stands in for Kubernetes.
func printInjected(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var object struct {
			Spec struct {
				Template struct {
					Spec struct {
						InitContainers []struct {
							Command []string
							Env     []struct{ Name, Value string }
						}
					}
				}
			}
		}
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			return err
		}
		for _, c := range object.Spec.Template.Spec.InitContainers {
			if len(c.Command) != 1 || c.Command[0] != "/bin/skr" {
				continue
			}
			for _, v := range c.Env {
				fmt.Printf("export %s='%s'\n", v.Name, v.Value)
			}
			return nil
		}
	}
	return errors.New("no sidecar is in " + file)
}

// The messages that docs/inject.md explains are those of the program.
func TestInjectMessages(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/inject.md")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(root + "/internal/operator/inject/refuse_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "## When something is in the way")
	rows := 0
	for line := range strings.Lines(table) {
		cell, _, isRow := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		if !isRow || !strings.HasPrefix(cell, "`") {
			continue
		}
		for _, message := range strings.Split(cell, ", ") {
			rows++
			if !strings.Contains(string(tests), strings.Trim(message, "`")) {
				t.Errorf("no test of a refusal has %s", message)
			}
		}
	}
	if rows < 12 {
		t.Errorf("only %d messages", rows)
	}
}
