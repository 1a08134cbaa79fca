package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skr/test/swtpm"
)

// migrationCloud starts the emulated cloud of a platform with the key of docs/aks.md, whose policy is that of
// kata-cc, and the manifest that was deployed there.
const migrationCloud = `
[ -z "${cloud:-}" ] || { kill $cloud; wait $cloud || true; rm env.sh; unset UVM_SECURITY_CONTEXT_DIR; }
skr-emulator serve --platform "$@" --key demo/another > env.sh & cloud=$!
until grep -qs '^# ready' env.sh; do kill -0 $cloud && sleep 0.1; done
. ./env.sh
export VAULT=$AKV_ENDPOINT
skrctl policy new --platform aks-kata --authority $MAA_ENDPOINT --workload consumer.yaml --out kata.json
skrctl key create kafka-encryption-demo --vault $VAULT --policy kata.json --out-dir $1
`

const migrationStart = `
export REGISTRY=contoso.azurecr.io
printf 'package policy\n\nallow := false\n' >cce.rego
printf 'package agent_policy\n\ndefault CreateContainerRequest := false\n' >kata.rego
sed "0,/^metadata:/s|^metadata:|&\n  annotations:\n    io.katacontainers.config.agent.policy: $(base64 -w0 kata.rego)|" \
	deploy/kafka/consumer.yaml >consumer.yaml
mkdir aci cvm
start() {` + migrationCloud + `}
set_policy() {
	token=$(curl -sf -H Metadata:true "$SKR_IMDS_URL/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://${VAULT#*.}" |
		sed 's/.*"access_token":"\([^"]*\)".*/\1/')
	curl -sf --cacert $SKR_CA_FILE -X PATCH "https://$VAULT/keys/kafka-encryption-demo?api-version=7.4" \
		-H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
		-d '{"release_policy":{"data":"'$(base64 -w0 $1 | tr '+/' '-_' | tr -d =)'"}}' >/dev/null
}
start aci --cce-policy cce.rego
skr release --authority $MAA_ENDPOINT --vault $VAULT --key kafka-encryption-demo && exit 1
`

// TestMigration follows docs/migration.md: the key of a pod on kata-cc is released to no other machine,
// then on virtual nodes, and then to a confidential virtual machine.
func TestMigration(t *testing.T) {
	swtpm.Need(t)
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
	text, err := os.ReadFile(root + "/docs/migration.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := walk(t, string(text), []standIn{
		{"kubectl patch kafka my-cluster", "export BROKERS=10.0.0.9:9094\n"},
		{"az confcom acipolicygen", `sed -i "0,/^  annotations:/s|^  annotations:|&\n    ` +
			`microsoft.containerinstance.virtualnode.ccepolicy: $(base64 -w0 cce.rego)|" consumer-vn2.yaml` + "\n"},
		{"az keyvault key set-attributes", "set_policy release-vn2.json\n"},
		{"az aks nodepool add", "start cvm\nskrctl key show kafka-encryption-demo --vault $VAULT --output json >key.json\n"},
		{"az keyvault key set-attributes", "set_policy release-cvm.json\n"},
	})
	out := runScript(t, dir, "export PATH="+bin+":$PATH\n"+migrationStart+commands)
	if got := strings.Count(out, "  ok       release ("); got != 2 {
		t.Errorf("the key is released on %d platforms, want 2:\n%.9000s", got, out)
	}
	file := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, words := range map[string][]string{
		"consumer-vn2.yaml": {"virtualization: virtualnode2", "        - name: BROKERS\n          value: 10.0.0.9:9094\n        - name: TOPIC\n"},
		"consumer-cvm.yaml": {"image: contoso.azurecr.io/skr:1", "kubernetes.azure.com/security-type: ConfidentialVM"},
	} {
		for _, word := range words {
			if !strings.Contains(file(name), word) {
				t.Errorf("%s lacks %q:\n%s", name, word, file(name))
			}
		}
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
