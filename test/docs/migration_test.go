package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skr/test/swtpm"
)

// migrationStart starts an emulated cloud with the key of docs/aks.md, whose policy is for kata-cc, and
// writes the manifest that was deployed there. The key is not released to the cloud's machine.
const migrationStart = `
export REGISTRY=contoso.azurecr.io
printf 'package policy\n\nallow := false\n' >cce.rego
printf 'package agent_policy\n\ndefault CreateContainerRequest := false\n' >kata.rego
sed "0,/^metadata:/s|^metadata:|&\n  annotations:\n    io.katacontainers.config.agent.policy: $(base64 -w0 kata.rego)|" \
	deploy/kafka/consumer.yaml >consumer.yaml
set_policy() {
	token=$(curl -sf -H Metadata:true "$SKR_IMDS_URL/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://${VAULT#*.}" |
		sed 's/.*"access_token":"\([^"]*\)".*/\1/')
	curl -sf --cacert $SKR_CA_FILE -X PATCH "https://$VAULT/keys/kafka-encryption-demo?api-version=7.4" \
		-H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
		-d '{"release_policy":{"data":"'$(base64 -w0 $1 | tr '+/' '-_' | tr -d =)'"}}' >/dev/null
}
skr-emulator serve $MACHINE --key demo/another >env.sh & cloud=$!
until grep -qs '^# ready' env.sh; do kill -0 $cloud && sleep 0.1; done
. ./env.sh
export VAULT=$AKV_ENDPOINT
skrctl policy new --platform aks-kata --authority $MAA_ENDPOINT --workload consumer.yaml --out kata.json
skrctl key create kafka-encryption-demo --vault $VAULT --policy kata.json
skr release --authority $MAA_ENDPOINT --vault $VAULT --key kafka-encryption-demo && exit 1
`

// TestMigration follows docs/migration.md: the key of a pod on kata-cc is released on virtual nodes, and
// to a confidential virtual machine, once its policy is migrated.
func TestMigration(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/migration.md")
	if err != nil {
		t.Fatal(err)
	}
	groups, machines, found := strings.Cut(string(text), "\n## To a pool of confidential virtual machines\n")
	if !found {
		t.Fatal("docs/migration.md has no section about virtual machines")
	}
	t.Run("virtual nodes", func(t *testing.T) {
		file := migrate(t, "--platform aci --cce-policy cce.rego", "", groups, []standIn{
			{"kubectl patch kafka my-cluster", "export BROKERS=10.0.0.9:9094\n"},
			{"az confcom acipolicygen", `sed -i "0,/^  annotations:/s|^  annotations:|&\n    ` +
				`microsoft.containerinstance.virtualnode.ccepolicy: $(base64 -w0 cce.rego)|" consumer-vn2.yaml` + "\n"},
			{"az keyvault key set-attributes", "set_policy release-vn2.json\n"},
		})("consumer-vn2.yaml")
		if !strings.Contains(file, "virtualization: virtualnode2") ||
			!strings.Contains(file, "        - name: BROKERS\n          value: 10.0.0.9:9094\n        - name: TOPIC\n") {
			t.Errorf("the consumer is not migrated:\n%s", file)
		}
	})
	t.Run("virtual machines", func(t *testing.T) {
		swtpm.Need(t)
		file := migrate(t, "--platform cvm", "skrctl key show kafka-encryption-demo --vault $VAULT --output json >key.json\n", machines, []standIn{
			{"az aks nodepool add", ""},
			{"az keyvault key set-attributes", "set_policy release-cvm.json\n"},
		})("consumer-cvm.yaml")
		if !strings.Contains(file, "image: contoso.azurecr.io/skr:1") || !strings.Contains(file, "kubernetes.azure.com/security-type: ConfidentialVM") {
			t.Errorf("the consumer is not migrated:\n%s", file)
		}
	})
}

// migrate runs a part of the document on an emulated machine, and returns a function that reads the files.
func migrate(t *testing.T, machine, before, document string, standIns []standIn) func(name string) string {
	t.Helper()
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
	out := runScript(t, dir, "export PATH="+bin+":$PATH MACHINE='"+machine+"'\n"+migrationStart+before+walk(t, document, standIns))
	if !strings.Contains(out, "  ok       release (") {
		t.Errorf("the key is not released:\n%.9000s", out)
	}
	return func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

// The output that docs/migration.md shows is in the program's.
func TestMigrationOutput(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/migration.md")
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile(root + "/internal/operator/migrate/testdata/golden/consumer-aci-vn2.txt")
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for line := range strings.Lines(string(text)) {
		note, is := strings.CutPrefix(line, "skrctl: ")
		if !is {
			continue
		}
		shown++
		if note, _, _ = strings.Cut(strings.TrimSpace(note), "…"); !strings.Contains(string(golden), strings.TrimSpace(note)) {
			t.Errorf("skrctl migrate does not print %q", note)
		}
	}
	if shown < 3 {
		t.Errorf("only %d lines are shown", shown)
	}
}
