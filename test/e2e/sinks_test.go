package e2e

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"skr/internal/envelope"
	"skr/internal/jose/jwk"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/program"
)

// inMemory returns a directory on a tmpfs.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "skr-e2e-") //nolint:usetesting // t.TempDir is on a disk
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func contentOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// get returns the status and the body of a GET.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// seal seals a secret to the public part of the alias's key, as an operator does.
func (r *rotation) seal(t *testing.T, s *sidecar, alias, secret string) string {
	t.Helper()
	key, err := s.client.KeptKey(t.Context(), alias)
	if err != nil {
		t.Fatal(err)
	}
	public, isRSA := key.Public().(*rsa.PublicKey)
	if !isRSA {
		t.Fatal("the key is no RSA key")
	}
	written, err := jwk.FromPublic(public)
	if err != nil {
		t.Fatal(err)
	}
	written.Kid = "https://" + r.vault + "/keys/orders/" + key.Version()
	text, err := envelope.Seal(written, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Files follow a rotated key: the key, a secret of an envelope and a configuration file. A reader
// never misses the file. The application gets a signal, and a command runs.
func TestSinks(t *testing.T) {
	t.Parallel()
	const ttl = 2 * time.Second
	r := newRotation(t)
	dir := inMemory(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) string {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path(name)
	}
	aliases := r.aliases(map[string]string{"orders": `"all"`}) // so that the envelope opens after the rotation
	sealed := write("db.jwe", r.seal(t, start(t, append(r.env, aliases)).ready(t), "orders", "hunter2"))
	template := write("app.tmpl", `key {{ version "orders" }}
password {{ secret "orders" "`+sealed+`" | quote }}
`)
	application := exec.Command("/bin/sh", "-c", `trap 'echo got >> "$0"' USR1; while :; do sleep 0.05; done`, path("got"))
	if err := application.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = application.Process.Kill(); _ = application.Wait() })
	write("pid", fmt.Sprintln(application.Process.Pid))
	sinks := fmt.Sprintf(`SKR_SINKS=[
		{"path":%q,"alias":"orders","format":"pem","mode":"0440","signal":"USR1","pid_file":%q},
		{"path":%q,"alias":"orders","envelope":%q,"keep":false},
		{"path":%q,"alias":["orders"],"envelope":[%q],"template":%q,"exec":["/bin/sh","-c","echo ran >> %s"]}]`,
		path("key.pem"), path("pid"), path("password"), sealed, path("app.conf"), sealed, template, path("ran"))
	write(".key.pem.skr-KILLED", "half a key")
	ops := program.FreeAddress(t)
	audit := filepath.Join(t.TempDir(), "audit.log")
	s := start(t, append(r.env, aliases, sinks, "SKR_KEY_CACHE_TTL="+ttl.String(), "SKR_OPS_LISTEN="+ops, "SKR_AUDIT_FILE="+audit)).ready(t)
	first := contentOf(t, path("key.pem"))
	if !strings.HasPrefix(first, "-----BEGIN PRIVATE KEY-----") || contentOf(t, path("password")) != "hunter2" ||
		contentOf(t, path("app.conf")) != "key "+r.version(t)+"\npassword \"hunter2\"\n" {
		t.Fatalf("ready, and the files are not written: %q, %q", contentOf(t, path("password")), contentOf(t, path("app.conf")))
	}
	if info, err := os.Stat(path("key.pem")); err != nil || info.Mode() != 0o440 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	if _, err := os.Stat(path(".key.pem.skr-KILLED")); err == nil {
		t.Error("half a file is left")
	}
	if _, body := get(t, "http://"+ops+"/readyz"); !strings.Contains(body, `"sinks":"ok"`) {
		t.Errorf("/readyz says %s", body)
	}
	eventually(t, "the notices of the first files", func() bool { return contentOf(t, path("got")) != "" && contentOf(t, path("ran")) != "" })
	stop := readAllTheTime(t, path("key.pem"))
	second := r.rotate(t)
	eventually(t, "the new key is in the file", func() bool { return contentOf(t, path("key.pem")) != first })
	eventually(t, "the new version is in the configuration file", func() bool { return strings.Contains(contentOf(t, path("app.conf")), second) })
	eventually(t, "the notices of the new files", func() bool {
		return strings.Count(contentOf(t, path("got")), "\n") > 1 && strings.Count(contentOf(t, path("ran")), "\n") > 1
	})
	stop()
	if err := s.stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	if contentOf(t, path("password")) != "" || contentOf(t, path("key.pem")) == "" {
		t.Error("the file with keep: false stays, or another is gone")
	}
	checkSinkRecords(t, audit, path("key.pem"), path("password"))
	for _, secret := range []string{"hunter2", strings.Split(first, "\n")[1]} {
		if strings.Contains(s.log.String(), secret) || strings.Contains(contentOf(t, audit), secret) {
			t.Error("the log or the audit file shows a secret")
		}
	}
}

// checkSinkRecords checks that the audit file names the sinks.
func checkSinkRecords(t *testing.T, audit, key, password string) {
	t.Helper()
	text := contentOf(t, audit)
	if strings.Count(text, `"caller":"sink `+key+`"`) != 2 || !strings.Contains(text, `"caller":"sink `+password+`"`) ||
		!strings.Contains(text, `"operation":"decrypt"`) {
		t.Errorf("the audit file lacks the files:\n%s", text)
	}
	if stdout, stderr, code := operate(t, nil, "", "audit", "verify", audit); code != 0 {
		t.Errorf("skrctl audit verify: %s%s", stdout, stderr)
	}
}

// readAllTheTime reads a file until the function that it returns is called. The file must be there
// and be whole each time.
func readAllTheTime(t *testing.T, path string) (stop func()) {
	done := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			text, err := os.ReadFile(path)
			if err != nil || !bytes.HasSuffix(text, []byte("-----END PRIVATE KEY-----\n")) {
				t.Errorf("a reader got %d bytes, %v", len(text), err)
				return
			}
		}
	})
	stop = sync.OnceFunc(func() { close(done); ended.Wait() })
	t.Cleanup(stop)
	return stop
}

// A vault that refuses at the start, or later, does not stop skr. It is not ready before the file
// was written, and a problem later, while the old file stays.
func TestSinksInAnOutage(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	path := filepath.Join(inMemory(t), "key.pem")
	down := func() {
		rule, err := fault.ParseRule("vault:status=503")
		if err == nil {
			err = r.cloud.Faults().Add(rule)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	down()
	ops := program.FreeAddress(t)
	s := start(t, append(r.env, r.aliases(map[string]string{"orders": `"latest"`}), "SKR_OPS_LISTEN="+ops, "SKR_REQUEST_TIMEOUT=3s",
		"SKR_KEY_REFRESH=1s", fmt.Sprintf(`SKR_SINKS=[{"path":%q,"alias":"orders","format":"pem"}]`, path)))
	listening(t, s)
	eventually(t, "the reason is told", func() bool {
		status, body := get(t, "http://"+ops+"/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, `"sinks":"unavailable: the sink `+path+" was not written yet")
	})
	r.cloud.Faults().Clear()
	s.ready(t)
	first := contentOf(t, path)
	down()
	eventually(t, "the problem is told", func() bool {
		_, body := get(t, "http://"+s.address+"/status")
		return strings.Contains(body, `"part":"sink `+path) && strings.Contains(body, "Status OK")
	})
	if _, body := get(t, "http://"+ops+"/metrics"); !strings.Contains(body, "skr_sinks_failing 1") ||
		!strings.Contains(body, `skr_sink_updates_total{result="failed"}`) {
		t.Errorf("the metrics do not tell of the failure:\n%s", body)
	}
	if contentOf(t, path) != first || first == "" {
		t.Error("the old file does not stay")
	}
	r.cloud.Faults().Clear()
	r.rotate(t)
	eventually(t, "the new key is in the file", func() bool { return contentOf(t, path) != first })
	eventually(t, "the problem is over", func() bool {
		_, body := get(t, "http://"+s.address+"/status")
		return !strings.Contains(body, "sink ")
	})
}

// Wrong sinks are refused at the start, and by the doctor, with what to do.
func TestWrongSinks(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	dir := inMemory(t)
	good := filepath.Join(dir, "key")
	keys := fmt.Sprintf(`SKR_KEYS={"k":{"vault":%q,"key":"k","authority":%q},"kept":{"vault":%q,"key":"kept","authority":%q,"ops":["sign"]}}`,
		cloud.Host("demo", "vault"), cloud.AttestationHost(), cloud.Host("demo", "vault"), cloud.AttestationHost())
	for sinks, want := range map[string]string{
		`[{"path":"/proc/key","alias":"k","format":"pem"}]`:                                                              "is not in memory",
		`[{"path":"` + good + `","alias":"none","format":"pem"}]`:                                                        "none of the keys",
		`[{"path":"` + good + `","alias":"kept","format":"pem"}]`:                                                        "stays in the sidecar",
		`[{"path":"` + good + `","alias":"k","format":"pem"},{"path":"` + good + `","alias":"k","format":"der"}]`:        "entry 1 writes the same file",
		`[{"path":"` + dir + `","alias":"k","format":"pem"}]`:                                                            "is a directory",
		`[{"path":"` + good + `","alias":"k","format":"pem","colour":"red"}]`:                                            "colour",
		`[{"path":"` + good + `","alias":"k","format":"pem","mode":400}]`:                                                "mode: want a string",
		`[{"path":"` + good + `","alias":"k","format":"pem","exec":["/bin/none"]}]`:                                      "exec: /bin/none cannot be run",
		`[{"path":"` + good + `","alias":"k","template":"/etc/passwd"},{"path":"` + good + `2","alias":[],"format":""}]`: "empty",
	} {
		env := append(cloud.Environment(cloud.Machine()), keys, "SKR_SINKS="+sinks)
		_, stderr, code := once(t, append(env, "Port=0"), "", "serve")
		if code != 2 || !strings.Contains(stderr, want) || !strings.Contains(strings.ToLower(stderr), "sinks: ") {
			t.Errorf("%s: exit %d, %s; want %q", sinks, code, stderr, want)
		}
	}
	env := append(cloud.Environment(cloud.Machine()), keys, `SKR_SINKS=[{"path":"`+dir+`","alias":"k","format":"pem"}]`)
	if stdout, _, code := once(t, env, "", "doctor", "--authority", cloud.AttestationHost(), "--vault", cloud.Host("demo", "vault"), "--key", "k"); code == 0 ||
		!strings.Contains(stdout, "is a directory; name a file") {
		t.Errorf("the doctor: exit %d\n%s", code, stdout)
	}
	stdout, stderr, code := once(t, env, "", "config")
	if code != 0 || !strings.Contains(stdout, "sinks:") || !strings.Contains(stdout, "format: pem") || !strings.Contains(stdout, "key_refresh: 5m0s") {
		t.Errorf("skr config: %d %s%s", code, stdout, stderr)
	}
}

// A process that is killed leaves no half file under the name, and the next one finds the file as
// it is and does not notify.
func TestSinksAfterAKill(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	dir := inMemory(t)
	path, ran := filepath.Join(dir, "key.pem"), filepath.Join(dir, "ran")
	env := append(r.env, r.aliases(map[string]string{"orders": `"latest"`}), fmt.Sprintf(
		`SKR_SINKS=[{"path":%q,"alias":"orders","format":"pem","exec":["/bin/sh","-c","echo ran >> %s"]}]`, path, ran))
	s := start(t, env).ready(t)
	eventually(t, "the notice", func() bool { return contentOf(t, ran) != "" })
	first := contentOf(t, path)
	_ = s.process.Process.Signal(syscall.SIGKILL)
	<-s.exited
	if contentOf(t, path) != first {
		t.Error("the file changed")
	}
	again := start(t, env).ready(t)
	eventually(t, "the file is up to date", func() bool { return strings.Contains(again.log.String(), "the file is up to date") })
	if contentOf(t, path) != first || contentOf(t, ran) != "ran\n" {
		t.Errorf("the file was written again: %q", contentOf(t, ran))
	}
}
