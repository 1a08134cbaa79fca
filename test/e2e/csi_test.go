package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"skr/internal/jose/jwk"
	"skr/test/csidriver"
	"skr/test/emulator"
	"skr/test/emulator/entra"
	"skr/test/program"
)

// csiLab is a node with a confidential VM, the agent, the CSI provider and a driver.
type csiLab struct {
	*vmLab

	driver   *csidriver.Driver
	log      *program.Output
	env      map[string]string // of a pod with workload identity
	stop     func() error
	audience string
	socket   string
}

func newCSILab(t *testing.T, env ...string) *csiLab {
	t.Helper()
	vm := newVMLab(t, emulator.MachineConfig{Platform: emulator.ConfidentialVM, Paravisor: hasty()})
	lender, _ := vm.agent(t)
	dir, err := os.MkdirTemp("", "csi-") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l := &csiLab{vmLab: vm, log: new(program.Output), env: map[string]string{}, audience: entra.DefaultAudience, socket: filepath.Join(dir, "skr.sock")}
	variables, err := vm.WorkloadIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		l.env[name] = value
	}
	process := exec.Command(program.Path("skr"), "csi-provider", "--socket", l.socket)
	process.Env = append(append(vm.Environment(vm.vm), append(lent(lender), env...)...), "AZURE_AUTHORITY_HOST="+l.env["AZURE_AUTHORITY_HOST"])
	process.Stderr = l.log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	l.stop = sync.OnceValue(func() error { return errors.Join(process.Process.Signal(os.Interrupt), process.Wait()) })
	t.Cleanup(func() {
		if err := l.stop(); err != nil {
			t.Errorf("the provider ended with %v\n%s", err, l.log)
		}
	})
	eventually(t, "the provider listens", func() bool { l.driver, err = csidriver.Connect(dir, "skr"); return err == nil })
	t.Cleanup(func() { _ = l.driver.Close() })
	return l
}

// volume returns a volume of pod orders-0 with these objects.
func (l *csiLab) volume(t *testing.T, objects string) csidriver.Volume {
	t.Helper()
	return csidriver.Volume{Target: t.TempDir(), Attributes: map[string]string{
		"csi.storage.k8s.io/pod.name": "orders-0", "csi.storage.k8s.io/pod.namespace": "default", "csi.storage.k8s.io/pod.uid": "uid-0",
		"csi.storage.k8s.io/serviceAccount.name": "workload", "csi.storage.k8s.io/ephemeral": "true", "secretProviderClass": "orders",
		"csi.storage.k8s.io/serviceAccount.tokens": l.tokens(t, "workload", "orders-0", "uid-0"),
		"clientID": l.env["AZURE_CLIENT_ID"], "tenantID": l.env["AZURE_TENANT_ID"], "objects": objects,
	}}
}

// tokens returns the tokens of a pod in the form of kubelet.
func (l *csiLab) tokens(t *testing.T, account, pod, uid string) string {
	t.Helper()
	token, err := l.PodToken("default", account, pod, uid)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]map[string]string{
		l.audience: {"token": token, "expirationTimestamp": "2099-01-01T00:00:00Z"}, "other": {"token": "x", "expirationTimestamp": "2099-01-01T00:00:00Z"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (l *csiLab) object(path, key, more string) string {
	return fmt.Sprintf("- {path: %s, vault: %q, authority: %q, key: %s%s}\n", path, l.vault, l.AttestationHost(), key, more)
}

// A pod gets its keys as files, and later the newest version, with its own identity.
func TestCSIProvider(t *testing.T) {
	t.Parallel()
	l := newCSILab(t)
	if protocol, name, version, err := l.driver.Version(t.Context()); err != nil || protocol != "v1alpha1" || name != "skr" || version == "" {
		t.Errorf("version %q of %q, %q, error %v", version, name, protocol, err)
	}
	l.isHealthy(t)
	v := l.volume(t, l.object("key.json", "k", "")+l.object("key.pem", "k", `, format: pem, mode: "0400"`))
	first, err := l.driver.Mount(t.Context(), v)
	if err != nil {
		t.Fatalf("%v\n%s", err, l.log)
	}
	text := l.file(t, v, "key.json", 0o440)
	if key, err := jwk.Parse(text); err != nil || key.D == "" {
		t.Errorf("key.json: %v", err)
	}
	if pem := l.file(t, v, "key.pem", 0o400); !strings.HasPrefix(string(pem), "-----BEGIN PRIVATE KEY-----\n") {
		t.Error("key.pem is no PEM file")
	}
	if first["key.json"] == "" || first["key.json"] != first["key.pem"] || len(first) != 2 {
		t.Errorf("versions %v", first)
	}
	if n := l.Faults().Requests(emulator.ServiceIdentity); n != 0 {
		t.Errorf("the node's managed identity was asked for %d tokens", n)
	}
	l.rotates(t, v, first, text)
	l.tellsNothing(t, text)
}

// isHealthy runs the probe of deploy/csi.
func (l *csiLab) isHealthy(t *testing.T) {
	t.Helper()
	probe := exec.Command(program.Path("skr"), "healthcheck", "--listen=", "--grpc-listen=unix:"+l.socket, "--wait", "1m")
	if out, err := probe.CombinedOutput(); err != nil || string(out) != "ready\n" {
		t.Errorf("the probe printed %s, error %v", out, err)
	}
}

// rotates checks that a second mount brings a new version of the key.
func (l *csiLab) rotates(t *testing.T, v csidriver.Volume, first map[string]string, text []byte) {
	t.Helper()
	policy := fmt.Appendf(nil, `{"version":"1.0.0","anyOf":[{"authority":"https://%s","allOf":[{"claim":"x-ms-attestation-type","equals":"azurevm"}]}]}`,
		l.AttestationHost())
	if _, err := l.CreateKey(t.Context(), l.vault, emulator.KeySpec{Name: "k", Size: 2048}, policy); err != nil {
		t.Fatal(err)
	}
	v.Current = first
	// As the driver does from v1.5 on, if the CSIDriver has serviceAccountTokenInSecrets.
	v.Secrets = map[string]string{"csi.storage.k8s.io/serviceAccount.tokens": v.Attributes["csi.storage.k8s.io/serviceAccount.tokens"]}
	delete(v.Attributes, "csi.storage.k8s.io/serviceAccount.tokens")
	second, err := l.driver.Mount(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	if second["key.json"] == first["key.json"] || string(l.file(t, v, "key.json", 0o440)) == string(text) {
		t.Error("the new version of the key is not mounted")
	}
}

func (l *csiLab) file(t *testing.T, v csidriver.Volume, name string, mode os.FileMode) []byte {
	t.Helper()
	path := filepath.Join(v.Target, name)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != mode {
		t.Errorf("%s has mode %v, want %v", name, info.Mode(), mode)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// tellsNothing checks that the log has the records of the releases and no secret.
func (l *csiLab) tellsNothing(t *testing.T, key []byte) {
	t.Helper()
	if err := l.stop(); err != nil {
		t.Error(err)
	}
	log := l.log.String()
	var members map[string]any
	if err := json.Unmarshal(key, &members); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"d", "p", "q"} {
		if value, _ := members[name].(string); value == "" || strings.Contains(log, value) {
			t.Errorf("the log has member %s of the key", name)
		}
	}
	if strings.Contains(log, "eyJ") {
		t.Error("the log has a token")
	}
	if n := strings.Count(log, `"caller":"pod default/orders-0 service account workload"`); n < 6 {
		t.Errorf("%d lines name the pod: 4 records and 2 mounts are needed\n%s", n, log)
	}
}

// A pod that may not have a key gets none, and neither the node's identity nor a key of another pod
// replaces it.
func TestCSIProviderRefuses(t *testing.T) {
	t.Parallel()
	l := newCSILab(t)
	const tokens = "csi.storage.k8s.io/serviceAccount.tokens"
	good := l.object("key", "k", "")
	if _, err := l.driver.Mount(t.Context(), l.volume(t, good)); err != nil {
		t.Fatalf("%v\n%s", err, l.log)
	}
	for _, c := range []struct {
		change map[string]string
		code   codes.Code
		says   string
	}{
		{map[string]string{tokens: l.tokens(t, "other", "orders-0", "uid-0")}, codes.PermissionDenied, "not the one of pod default/orders-0"},
		{map[string]string{tokens: l.tokens(t, "workload", "orders-1", "uid-1")}, codes.PermissionDenied, "not the one of pod default/orders-0"},
		{map[string]string{tokens: l.tokens(t, "other", "orders-0", "uid-0"), "csi.storage.k8s.io/serviceAccount.name": "other"},
			codes.PermissionDenied, "Microsoft Entra ID gave the workload identity"},
		{map[string]string{tokens: ""}, codes.InvalidArgument, "tokenRequests"},
		{map[string]string{tokens: `{"other":{"token":"x"}}`}, codes.InvalidArgument, "tokenRequests"},
		{map[string]string{"clientID": ""}, codes.InvalidArgument, "the identity of the node is never used"},
		{map[string]string{"objects": l.object("key", "absent", "")}, codes.NotFound, "key not found"},
		{map[string]string{"objects": good + l.object("second", "absent", "")}, codes.NotFound, "key not found"},
		{map[string]string{"objects": strings.ReplaceAll(good, l.vault, "vault.example")}, codes.PermissionDenied, "endpoint not allowed"},
		{map[string]string{"objects": l.object("key", "k", ", format: raw")}, codes.InvalidArgument, "no format raw"},
	} {
		v := l.volume(t, good)
		for name, value := range c.change {
			v.Attributes[name] = value
		}
		_, err := l.driver.Mount(t.Context(), v)
		if status.Code(err) != c.code || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%.80v: %v, want %v with %q", c.change, err, c.code, c.says)
		}
		if files, err := os.ReadDir(v.Target); err != nil || len(files) != 0 {
			t.Errorf("%.80v: %d files were written", c.change, len(files))
		}
	}
	if n := l.Faults().Requests(emulator.ServiceIdentity); n != 0 {
		t.Errorf("the node's managed identity was asked for %d tokens", n)
	}
}

// Pods that mount the same key at once have a release and an access token each, whatever the settings say.
func TestCSIProviderSharesNothing(t *testing.T) {
	t.Parallel()
	l := newCSILab(t, "SKR_KEY_CACHE_TTL=1h", "SKR_MAX_STALE=1h")
	const mounts = 6
	var pods sync.WaitGroup
	for range mounts {
		v := l.volume(t, l.object("key", "k", ""))
		pods.Go(func() {
			if _, err := l.driver.Mount(context.WithoutCancel(t.Context()), v); err != nil {
				t.Error(err)
			}
		})
	}
	pods.Wait()
	releases, tokens := l.Faults().Requests(emulator.ServiceRelease), l.Faults().Requests(emulator.ServiceEntraToken)
	if releases != mounts || tokens != mounts {
		t.Errorf("%d releases and %d access tokens for %d mounts", releases, tokens, mounts)
	}
	if !strings.Contains(l.log.String(), `"setting":"key_cache_ttl"`) {
		t.Error("the log does not say that key_cache_ttl has no effect")
	}
}
