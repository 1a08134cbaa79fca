package docs

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skr/test/emulator"
	"skr/test/program"
)

// onKubernetes replaces the blocks of kubectl in docs/rollouts.md. Both pods stay under load: see
// served.
var onKubernetes = []standIn{
	{"kubectl apply -f orders-1.yaml", "pod 1\nserved 1\n"},
	{"kubectl apply -f orders-2.yaml", "pod 2\nserved 1\nserved 2\nend 1\nserved 2\n"},
	{"skr release --alias orders", `
(. ./pod-1.env; skr release --alias orders) || echo "exit code of version one: $?"
until curl -s --unix-socket pod-1.sock http://localhost/key/release -d '{"alias":"orders"}' | grep release_rejected; do sleep 0.1; done
served 2
`},
	{"skr unwrap", `
until curl -s -D - -o key --unix-socket pod-2.sock http://localhost/key/release -d '{"alias":"orders"}' |
	grep -i "^X-Skr-Key-Id: $(sed -n 's/^ *"kid": "\(.*\)",$/\1/p' orders-info.json)"; do sleep 0.1; done
served 2
(. ./pod-2.env; skr unwrap <order.wrapped)
`},
}

// shell are the functions of the stand-ins. A pod gets requests while it has a file .up; the load writes
// .served after its next hundred answers, and .drained when the last request of a pod without .up is
// answered.
const shell = `
pod() {
	(. ./pod-$1.env; exec skr serve) 2>pod-$1.log &
	skr healthcheck --listen unix:$PWD/pod-$1.sock --wait 30s
	touch pod-$1.up
}
served() { rm -f pod-$1.served; until [ -e pod-$1.served ]; do sleep 0.1; done; }
end() { rm pod-$1.up; until [ -e pod-$1.drained ]; do sleep 0.1; done; }
`

// manifest is a deployment with an execution policy.
const manifest = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: orders
spec:
  selector:
    matchLabels: {app: orders}
  template:
    metadata:
      labels: {app: orders}
      annotations:
        io.katacontainers.config.agent.policy: %s
    spec:
      runtimeClassName: kata-cc-isolation
      containers:
        - name: orders
          image: contoso.azurecr.io/orders:%s
`

// TestRollouts follows docs/rollouts.md while requests for the key come in at 100 a second, first to the
// pod of version one, then to both, and then to that of version two. None of them fails.
func TestRollouts(t *testing.T) {
	cloud := program.Cloud(t, emulator.Config{})
	vault, authority := cloud.Host("orders", "vault"), cloud.AttestationHost()
	if err := cloud.AddVault(vault); err != nil {
		t.Fatal(err)
	}
	dir := shortDir(t)
	bin := filepath.Join(dir, "bin")
	build(t, bin)
	keys := fmt.Sprintf(`{"orders":{"vault":%q,"key":"orders","authority":%q,"versions":"all"}}`, vault, authority)
	var desk []string
	for _, version := range []string{"1", "2"} {
		policy := "package agent_policy\n\nversion := " + version + "\n"
		machine, err := cloud.AddMachine("orders-"+version, emulator.MachineConfig{Platform: emulator.AKSKata, Policy: policy})
		if err != nil {
			t.Fatal(err)
		}
		desk = cloud.Environment(machine)
		write(t, filepath.Join(dir, "orders-"+version+".yaml"), fmt.Sprintf(manifest, base64.StdEncoding.EncodeToString([]byte(policy)), version))
		write(t, filepath.Join(dir, "pod-"+version+".env"), exports(append(desk,
			"SKR_LISTEN=unix:"+filepath.Join(dir, "pod-"+version+".sock"), "SKR_KEYS="+keys, "SKR_KEY_CACHE_TTL=2s")))
	}
	text, err := os.ReadFile(root + "/docs/rollouts.md")
	if err != nil {
		t.Fatal(err)
	}
	load := startLoad(t, dir, "1", "2")
	out := runScript(t, dir, exports(append(desk, "PATH="+bin+":"+os.Getenv("PATH"), "VAULT="+vault, "MAA="+authority))+shell+
		walk(t, string(text), onKubernetes)+"end 2\n")
	load.stop(t)
	for _, want := range []string{
		"skrctl key policy allow orders --vault " + vault, "skrctl key policy retire orders --vault " + vault, "kubectl apply -f orders-2.yaml",
		"release rejected: ", "x-ms-sevsnpvm-hostdata", "exit code of version one: 3", `"code":"release_rejected"`,
		"order of the first day\n", "nothing to do",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the walk does not print %q:\n%.8000s", want, out)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// shortDir returns a directory whose path is short enough for sockets.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "skr-") //nolint:usetesting // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
