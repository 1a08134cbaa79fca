package container

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skr/test/emulator"
	"skr/test/program"
	"skr/test/tool"
)

// On a virtual machine one container runs as root and has the TPM. The sidecar has the
// agent's directory read-only, as the chart mounts it, and needs nothing else to release a
// key.
func TestAgent(t *testing.T) {
	tool.Need(t, "swtpm", "swtpm")
	engine := newEngine(t)
	cloud := program.Cloud(t, emulator.Config{Machine: emulator.MachineConfig{Platform: emulator.ConfidentialVM}})
	vault := cloud.Host("demo", "vault")
	policy := fmt.Appendf(nil, `{"version":"1.0.0","anyOf":[{"authority":"https://%s","allOf":[`+
		`{"claim":"x-ms-isolation-tee.x-ms-compliance-status","equals":"azure-compliant-cvm"}]}]}`,
		cloud.AttestationHost())
	if _, err := cloud.CreateKey(t.Context(), vault, emulator.KeySpec{Name: "k", Size: 2048}, policy); err != nil {
		t.Fatal(err)
	}
	node, lent := forContainer(t, cloud), t.TempDir()
	if err := os.Chmod(lent, 0o755); err != nil { // like the kubelet (DirectoryOrCreate)
		t.Fatal(err)
	}
	device := tpmDirectory(t, cloud)
	engine.run(t, "agent", append(node[:len(node):len(node)], "--user", "0:0", "--volume", device+":"+device, "--volume", lent+":/run/skr"),
		"/bin/skr", "agent", "--dir", "/run/skr")
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(engine.logs("agent"))
		}
	})
	await(t, "the agent listens", func() bool { _, err := os.Stat(filepath.Join(lent, "tpm.sock")); return err == nil })

	address := program.FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	pod := append(node[:len(node):len(node)], "--env", "Port="+port, "--volume", lent+":/run/skr:ro",
		"--env", "SKR_REPORT_SOURCE=vtpm", "--env", "SKR_TPM=unix:/run/skr/tpm.sock", "--env", "SKR_EVENT_LOG=/run/skr/event-log")
	engine.start(t, "sidecar", pod, "/bin/skr")
	engine.confined(t, "sidecar")
	ready(t, address, func() string { return engine.logs("agent") + engine.logs("sidecar") })
	release(t, address, cloud.AttestationHost(), vault)
}

// tpmDirectory returns the directory with the socket of the machine's TPM. It replaces the
// device, which only the agent gets.
func tpmDirectory(t *testing.T, cloud *emulator.Cloud) string {
	t.Helper()
	for _, assignment := range cloud.Environment(cloud.Machine()) {
		if socket, is := strings.CutPrefix(assignment, "SKR_TPM=unix:"); is {
			return filepath.Dir(socket)
		}
	}
	t.Fatal("the machine has no TPM")
	return ""
}
