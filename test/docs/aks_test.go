package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// onAKS replaces the blocks of az and kubectl in docs/aks.md, found by a line
// in them, with commands that create the same state on the emulator. The
// extension's policy is replaced with a fixed text, which the emulated machine
// uses too.
var onAKS = []standIn{
	{"az aks create", `
export REGISTRY=contoso.azurecr.io
printf 'package agent_policy\n\ndefault CreateContainerRequest := false\n' > policy.rego
skr-emulator serve --platform aks-kata --cce-policy policy.rego --key demo/another > env.sh &
until grep -q '^# ready' env.sh; do sleep 0.1; done
. ./env.sh
export VAULT=$AKV_ENDPOINT
`},
	{"az role assignment create", ""},
	{"kubectl apply -f deploy/kafka/kafka.yaml", ""},
	{"az confcom katapolicygen", `sed -i "0,/^metadata:/s|^metadata:|&\n  annotations:\n    ` +
		`io.katacontainers.config.agent.policy: $(base64 -w0 policy.rego)|" consumer.yaml` + "\n"},
	{"kubectl apply -f consumer.yaml", ""},
	{"az group delete", ""},
}

// TestAKS follows docs/aks.md to a released key with the manifests of
// deploy/kafka: the producer has the public key, the pod gets the private key.
func TestAKS(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	build(t, bin)
	deploy, err := filepath.Abs(root + "/deploy")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(deploy, filepath.Join(dir, "deploy")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(root + "/docs/aks.md")
	if err != nil {
		t.Fatal(err)
	}
	out := runScript(t, dir, "export PATH="+bin+":$PATH\n"+walk(t, string(text), onAKS)+"echo \"host data $WORKLOAD_MEASUREMENT\"\n")
	for _, want := range []string{"wrote kafka-encryption-demo-pub.pem", `"authority"`, "host data ", "  ok       release ("} {
		if !strings.Contains(out, want) {
			t.Errorf("the walkthrough does not print %s:\n%.6000s", want, out)
		}
	}
	file := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if !strings.Contains(file("private.pem"), "PRIVATE KEY") {
		t.Error("no private key was released")
	}
	indented := regexp.MustCompile("(?m)^ {12}").ReplaceAllString(file("producer.yaml"), "")
	if !strings.Contains(indented, file("kafka-encryption-demo-pub.pem")) || strings.Contains(indented, "***") {
		t.Errorf("the producer lacks the public key:\n%s", file("producer.yaml"))
	}
	if consumer := file("consumer.yaml"); strings.Contains(consumer, "myregistry") ||
		strings.Contains(consumer, "myKeyVault") || strings.Contains(consumer, "sharedeus2") {
		t.Errorf("the consumer has placeholders:\n%s", consumer)
	}
}

// TestKafkaVariables checks that the table of variables matches those that the
// programs read.
func TestKafkaVariables(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/aks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## The programs")
	section, _, _ = strings.Cut(section, "\n## ")
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| (.*?) \| (?:both|producer|consumer) \|`).FindAllStringSubmatch(section, -1) {
		for _, name := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[1], -1) {
			documented[name[1]] = true
		}
	}
	read := regexp.MustCompile(`environment\.(?:Required|Optional)\(v, "(\w+)"`)
	found := map[string]bool{}
	files, err := filepath.Glob(root + "/examples/kafka/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range read.FindAllStringSubmatch(string(source), -1) {
			found[name[1]] = true
			if !documented[name[1]] {
				t.Errorf("docs/aks.md lacks %s", name[1])
			}
		}
	}
	if len(found) != len(documented) || len(found) < 10 {
		t.Errorf("%d variables are documented, %d are read", len(documented), len(found))
	}
}
