package container

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"skr/internal/sidecar/keyprovider"
	"skr/test/emulator"
	"skr/test/program"
	"skr/test/rsakey"
	"skr/test/tool"
)

// entryPoints are the commands with which manifests start the sidecar.
var entryPoints = [][]string{
	nil,                          // the image's own
	{"/bin/skr"},                 // Azure Kubernetes Service, "Deploy an AKS cluster with Confidential Containers"
	{"/skr.sh"},                  // the samples of the reference sidecar
	{"/bin/sh", "-c", "/skr.sh"}, // one of them
	{"", "/skr.sh"},              // after the image in `docker run`, or as args of a manifest
	{"", "/bin/skr", "-loglevel", "Info"},
}

// sidecarArgs is the value of SkrSideCarArgs in the pod of that documentation. It names the
// certificate cache of the host.
const sidecarArgs = "ewogICAgImNlcnRjYWNoZSI6IHsKCQkiZW5kcG9pbnRfdHlwZSI6ICJMb2NhbFRISU0iLAoJCSJlbmRwb2ludCI6ICIx" +
	"NjkuMjU0LjE2OS4yNTQvbWV0YWRhdGEvVEhJTS9hbWQvY2VydGlmaWNhdGlvbiIKCX0gIAp9"

// The image runs with the security context of a pod: as its own user, with a read-only root,
// without capabilities and without a way to gain any. It releases a key.
func TestRun(t *testing.T) {
	engine := newEngine(t)
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	policy := fmt.Appendf(nil, `{"version":"1.0.0","anyOf":[{"authority":"https://%s","allOf":[{"claim":"x-ms-sevsnpvm-hostdata","equals":"%s"}]}]}`,
		cloud.AttestationHost(), cloud.Machine().HostData())
	if _, err := cloud.CreateKey(t.Context(), vault, emulator.KeySpec{Name: "k", Size: 2048}, policy); err != nil {
		t.Fatal(err)
	}
	args := append(forContainer(t, cloud), "--env", "SkrSideCarArgs="+sidecarArgs)
	for i, entry := range entryPoints {
		t.Run(strings.Join(entry, " "), func(t *testing.T) {
			name := fmt.Sprint("skr", i)
			address := program.FreeAddress(t)
			_, port, _ := net.SplitHostPort(address)
			engine.start(t, name, append(args[:len(args):len(args)], "--env", "Port="+port), entry...)
			engine.confined(t, name)
			ready(t, address, func() string { return engine.logs(name) })
			release(t, address, cloud.AttestationHost(), vault)
		})
	}
}

// release requests the key k as an application does.
func release(t *testing.T, address, authority, vault string) {
	t.Helper()
	body := fmt.Sprintf(`{"maa_endpoint":%q,"akv_endpoint":%q,"kid":"k"}`, authority, vault)
	response, err := http.Post("http://"+address+"/key/release", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct{ Key, Error string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || !strings.Contains(answer.Key, `"kty":"RSA"`) {
		t.Errorf("status %d, %s, %v", response.StatusCode, answer.Error, err)
	}
}

// patience is how long tests wait for an event that must happen.
const patience = 2 * time.Minute

// ready waits until the sidecar is ready.
func ready(t *testing.T, address string, logs func() string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		response, err := http.Get("http://" + address + "/status")
		if err != nil {
			continue
		}
		var status struct{ Message string }
		err = json.NewDecoder(response.Body).Decode(&status)
		_ = response.Body.Close()
		if err == nil && status.Message == "Status OK" {
			return
		}
	}
	t.Fatalf("not ready after %v:\n%s", patience, logs())
}

// forContainer returns the environment of a pod of the cloud, and a mount of the files that
// it names. It makes them readable for the user of the image.
func forContainer(t *testing.T, cloud *emulator.Cloud) (args []string) {
	t.Helper()
	var dir string
	for _, assignment := range cloud.Environment(cloud.Machine()) {
		args = append(args, "--env", assignment)
		if file, is := strings.CutPrefix(assignment, "SKR_CA_FILE="); is {
			dir = filepath.Dir(file)
		}
	}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chmod(path, map[os.FileMode]os.FileMode{os.ModeDir: 0o755, os.ModeSocket: 0o777}[entry.Type()]|0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return append(args, "--volume", dir+":"+dir+":ro")
}

// engine is podman with its own store, which holds the image.
type engine struct {
	args []string
	env  []string
}

// settings let runc work if limits cannot be raised and systemd is missing.
const settings = `[containers]
default_ulimits=["nofile=1024:1024","nproc=1024:1024"]
[engine]
runtime="runc"
cgroup_manager="cgroupfs"
events_logger="none"
`

// newEngine returns an engine with the images of skr and of these programs.
func newEngine(t *testing.T, programs ...string) *engine {
	t.Helper()
	tool.Need(t, "podman", "podman")
	tool.Need(t, "runc", "runc")
	if os.Geteuid() != 0 {
		t.Skip("running a container as another user needs root")
	}
	dir, err := os.MkdirTemp("", "skr-podman-") //nolint:usetesting // podman writes there until it ends, after its containers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		await(t, "podman's store is removable", func() bool { return os.RemoveAll(dir) == nil })
	})
	file := filepath.Join(dir, "containers.conf")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	e := &engine{
		args: []string{
			"--log-level", "error", "--root", dir + "/storage", "--runroot", dir + "/run", "--storage-driver", "vfs",
			"--network-config-dir", dir + "/networks",
		},
		env: append(os.Environ(), "CONTAINERS_CONF="+file),
	}
	for _, name := range append([]string{"skr"}, programs...) {
		e.podman(t, "load", "--quiet", "--input", archive(t, name))
	}
	return e
}

func (e *engine) command(args ...string) *exec.Cmd {
	run := exec.Command("podman", append(e.args[:len(e.args):len(e.args)], args...)...)
	run.Env = e.env
	return run
}

func (e *engine) podman(t *testing.T, args ...string) string {
	t.Helper()
	out, err := e.command(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("podman %s: %v\n%s", args[0], err, out)
	}
	return strings.TrimSpace(string(out))
}

func (e *engine) logs(name string) string {
	out, _ := e.command("logs", name).CombinedOutput()
	return string(out)
}

// start starts a container with the security context of our manifests. A manifest's
// command replaces the entry point.
func (e *engine) start(t *testing.T, name string, args []string, entry ...string) {
	t.Helper()
	e.run(t, name, append(args[:len(args):len(args)], "--cap-drop", "all", "--security-opt", "no-new-privileges"), entry...)
}

// run runs a container with a read-only root. An entry that begins with "" keeps the
// image's entry point.
func (e *engine) run(t *testing.T, name string, args []string, entry ...string) {
	t.Helper()
	all := append([]string{"run", "--detach", "--name", name, "--network", "host", "--read-only", "--read-only-tmpfs=false"}, args...)
	if len(entry) > 0 && entry[0] != "" {
		all = append(all, "--entrypoint", entry[0])
	}
	all = append(all, "skr:v1.2.3")
	if len(entry) > 1 {
		all = append(all, entry[1:]...)
	}
	e.podman(t, all...)
	t.Cleanup(func() { e.podman(t, "rm", "--force", "--time", "5", name) })
}

// confined checks that the kernel confines the process as the manifest demands. skr itself
// also gives up new privileges, with or without the manifest.
func (e *engine) confined(t *testing.T, name string) {
	t.Helper()
	pid := e.podman(t, "inspect", "--format", "{{.State.Pid}}", name)
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatalf("%v\n%s", err, e.logs(name))
	}
	for _, line := range []string{"NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "Uid:\t65532\t65532\t65532\t65532"} {
		if !strings.Contains(string(status), line) {
			t.Errorf("the process lacks %q:\n%s", line, status)
		}
	}
	mounts, err := os.ReadFile("/proc/" + pid + "/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^\d+ \d+ \S+ \S+ / ro[, ]`).Match(mounts) {
		t.Errorf("the root is writable:\n%s", mounts)
	}
}

// Wrapping a file works as in the reference's own test, `compose run sidecar /bin/skr
// -infile …`.
func TestRunWraps(t *testing.T) {
	engine := newEngine(t)
	dir := t.TempDir()
	keys, err := rsakey.Generate(3072)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&keys.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"in.txt":      "Oceans are full of water",
		"k-pub.pem":   string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		"k-info.json": fmt.Sprintf(`{"public_key_path":%q,"kms_endpoint":"v.vault.azure.net","attester_endpoint":"a.attest.azure.net"}`, dir+"/k-pub.pem"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	engine.podman(t, "run", "--rm", "--network", "none", "--volume", dir+":"+dir, "skr:v1.2.3",
		"/bin/skr", "-infile", dir+"/in.txt", "-keypath", dir+"/k", "-outfile", dir+"/out.txt")
	text, err := os.ReadFile(filepath.Join(dir, "out.txt"))
	if err != nil {
		t.Fatal(err)
	}
	annotation, err := keyprovider.ParseFile(text)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := rsa.DecryptOAEP(sha256.New(), nil, keys, annotation.Wrapped, nil)
	if err != nil || string(opened) != "Oceans are full of water" {
		t.Errorf("decrypted %q, %v", opened, err)
	}
}

// The image's directory also runs without a container engine, as its user and as the root
// directory. The test is skipped if this process may not change its root.
func TestLayout(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("changing the root directory needs root")
	}
	cloud := program.Cloud(t, emulator.Config{})
	dir := layOut(t)
	for _, argv := range entryPoints[1:] {
		t.Run(strings.Join(argv, " "), func(t *testing.T) {
			address := program.FreeAddress(t)
			_, port, _ := net.SplitHostPort(address)
			log := new(program.Output)
			if argv[0] == "" {
				argv = append([]string{"/bin/skr"}, argv[1:]...)
			}
			process := &exec.Cmd{
				Path: argv[0], Args: argv, Dir: "/", Stderr: log,
				// The directory belongs to root, so the log must go to standard error.
				Env: []string{"Port=" + port, "SKR_IMDS_URL=" + cloud.IMDSURL(), "LogFile=skr.log"},
				SysProcAttr: &syscall.SysProcAttr{
					Chroot: dir, Credential: &syscall.Credential{Uid: 65532, Gid: 65532},
				},
			}
			if err := process.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
			await(t, "the log names what is missing", func() bool {
				return strings.Contains(log.String(), "/dev/sev-guest (not present)") && strings.Contains(log.String(), "log_file cannot be written")
			})
		})
	}
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("still waiting after %v: %s", patience, what)
}

func layOut(t *testing.T) string {
	t.Helper()
	parent := t.TempDir()
	for _, dir := range []string{parent, filepath.Dir(parent)} {
		if err := os.Chmod(dir, 0o755); err != nil { // user 65532 must pass
			t.Fatal(err)
		}
	}
	run := exec.Command("sh", "deploy/image/layout.sh", filepath.Join(parent, "image"))
	run.Dir = root
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(parent, "image")
}
