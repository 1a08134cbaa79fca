package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/program"
)

// keys returns the section of the configuration with one alias.
func (l *lab) keys() string {
	return `SKR_KEYS={"demo":{"vault":"` + l.vault + `","key":"k","authority":"` + l.cloud.AttestationHost() + `"}}`
}

// startWith runs skr with the lab's cloud, its alias and more.
func (l *lab) startWith(t *testing.T, more ...string) *sidecar {
	t.Helper()
	return start(t, append(append(l.cloud.Environment(l.cloud.Machine()), l.keys()), more...))
}

func wantCode(t *testing.T, err error, want api.Code) {
	t.Helper()
	refused, ok := errors.AsType[*api.Error](err)
	if !ok || refused.Code != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// awaitStart waits until skr has sent all requests of its start: for a report for readiness,
// for a report for the first KEK, and for the signing keys of the authority that the aliases
// name. The counters were reset before the start.
func (l *lab) awaitStart(t *testing.T) {
	t.Helper()
	want := map[string]int{emulator.ServiceReport: 2, emulator.ServiceMAAConfig: 1, emulator.ServiceMAACerts: 1}
	eventually(t, fmt.Sprintf("skr has sent %v", want), func() bool { return maps.Equal(l.cloud.Faults().Counters(), want) })
}

// Each of two applications has a token and a key. Neither gets the other's key.
func TestAccess(t *testing.T) {
	t.Parallel()
	l := newLab(t, emulator.Config{})
	createKey(t, l.cloud, l.vault, emulator.KeySpec{Name: "other", Size: 2048})
	dir := t.TempDir()
	rules := make([]string, 0, 2)
	clients := map[string]*api.Client{}
	names := fmt.Sprintf(`"vault":%q,"authority":%q`, l.vault, l.cloud.AttestationHost())
	for app, token := range map[string]string{"demo": "token-of-demo-0123456789", "other": "token-of-other-0123456789"} {
		if err := os.WriteFile(filepath.Join(dir, app), []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		rules = append(rules, fmt.Sprintf(`{"name":%q,"token_file":%q,"routes":["/key/release"],"keys":[%q]}`, app, filepath.Join(dir, app), app))
	}
	l.cloud.Faults().ResetCounters()
	s := start(t, append(l.cloud.Environment(l.cloud.Machine()),
		`SKR_KEYS={"demo":{`+names+`,"key":"k"},"other":{`+names+`,"key":"other"}}`, "SKR_ACCESS=["+strings.Join(rules, ",")+"]")).ready(t)
	for _, app := range []string{"demo", "other", ""} {
		config := api.Config{BaseURL: "http://" + s.address, Attempts: 1}
		if app != "" {
			config.TokenFile = filepath.Join(dir, app)
		}
		var err error
		if clients[app], err = api.NewClient(config); err != nil {
			t.Fatal(err)
		}
	}
	l.awaitStart(t)
	l.cloud.Faults().ResetCounters()
	_, err := clients["demo"].Release(t.Context(), api.ReleaseRequest{Alias: "other"})
	wantCode(t, err, api.CallerNotAllowed)
	_, err = clients["demo"].Release(t.Context(), api.ReleaseRequest{MAAEndpoint: l.cloud.AttestationHost(), AKVEndpoint: l.vault, KID: "other"})
	wantCode(t, err, api.CallerNotAllowed)
	_, err = clients["demo"].Report(t.Context(), []byte("data"))
	wantCode(t, err, api.CallerNotAllowed)
	_, err = clients[""].Release(t.Context(), api.ReleaseRequest{Alias: "demo"})
	wantCode(t, err, api.CallerNotAllowed)
	if asked := l.cloud.Faults().Counters(); len(asked) != 0 {
		t.Errorf("a refused caller made skr send %v", asked)
	}
	for _, app := range []string{"demo", "other"} {
		if _, err := clients[app].Release(t.Context(), api.ReleaseRequest{Alias: app}); err != nil {
			t.Errorf("%s requests its own key: %v", app, err)
		}
	}
}

// On a unix socket the kernel identifies the caller. curl runs as a process of its own.
func TestAccessByUID(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can run curl as another user")
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	l := newLab(t, emulator.Config{})
	dir, err := os.MkdirTemp("", "skr-") //nolint:usetesting // another user must reach it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	process := exec.Command(program.Path("skr"), "serve", "--listen", "unix:"+socket)
	process.Env = append(l.cloud.Environment(l.cloud.Machine()), l.keys(),
		`SKR_ACCESS=[{"name":"app","uid":1234,"routes":["/key/release"],"keys":["demo"]}]`)
	s := launch(t, process, "localhost")
	eventually(t, "the socket exists", func() bool { _, err := os.Stat(socket); return err == nil })
	ask := func(uid uint32) string {
		cmd := exec.CommandContext(t.Context(), "curl", "-s", "--max-time", "20", "--unix-socket", socket,
			"-H", "Content-Type: application/json", "-d", `{"alias":"demo"}`, "http://localhost/key/release")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("curl as %d: %v\n%s", uid, err, s.log)
		}
		return string(out)
	}
	if got := ask(1234); !strings.HasPrefix(got, `{"key":`) {
		t.Errorf("the application got %.80s", got)
	}
	for _, uid := range []uint32{0, 1235} {
		if got := ask(uid); !strings.Contains(got, `"code":"caller_not_allowed"`) {
			t.Errorf("uid %d got %.80s", uid, got)
		}
	}
	eventually(t, "the log names the caller", func() bool { return strings.Contains(s.log.String(), `"caller":"uid 1234 gid 1234 pid`) })
}

// After the first failures, requests for a dead service get a fast 503. Soon after the
// service returns, it serves again.
func TestDeadService(t *testing.T) {
	t.Parallel()
	l := newLab(t, emulator.Config{})
	s := l.startWith(t).ready(t)
	if err := l.cloud.Faults().Add(fault.Rule{Service: emulator.ServiceMAA, Do: fault.Reset}); err != nil {
		t.Fatal(err)
	}
	refused := func() *api.Error {
		_, err := s.client.Release(t.Context(), l.request())
		refused, ok := errors.AsType[*api.Error](err)
		if !ok || refused.Code != api.Unavailable {
			t.Fatalf("got %v, want unavailable", err)
		}
		return refused
	}
	for range 5 {
		_ = refused()
	}
	spared := false
	for range 6 { // the first pause, below a second, may be over; each is twice as long as the last
		l.cloud.Faults().ResetCounters()
		e := refused()
		if spared = l.cloud.Faults().Requests(emulator.ServiceMAA) == 0; spared {
			if e.Status != http.StatusServiceUnavailable || e.RetryAfter < time.Second {
				t.Errorf("a request that called no service got %+v", e)
			}
			break
		}
	}
	if !spared {
		t.Error("every request called the dead service")
	}
	l.cloud.Faults().Clear()
	eventually(t, "skr calls the service again", func() bool {
		_, err := s.client.Release(t.Context(), l.request())
		return err == nil
	})
}

// The running process is not dumpable and leaves no core file. It gains no privileges, and
// its secrets are in memory that the kernel hides from other processes.
func TestHardened(t *testing.T) {
	t.Parallel()
	l := newLab(t, emulator.Config{})
	s := l.startWith(t).ready(t)
	if _, err := s.client.Release(t.Context(), l.request()); err != nil {
		t.Fatal(err)
	}
	proc := "/proc/" + strconv.Itoa(s.process.Process.Pid)
	read := func(name string) string {
		text, err := os.ReadFile(proc + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if !regexp.MustCompile(`(?m)^NoNewPrivs:\s+1$`).MatchString(read("status")) {
		t.Error("the process may gain privileges")
	}
	if !regexp.MustCompile(`(?m)^Max core file size\s+0\s+0\s`).MatchString(read("limits")) {
		t.Error("the process may leave a core file")
	}
	if maps := read("maps"); !strings.Contains(maps, "secretmem") {
		if !strings.Contains(read("smaps"), " lo ") {
			t.Error("no memory is locked")
		}
		t.Logf("this kernel has no memfd_secret")
	}
	if os.Getuid() != 0 {
		t.Skip("the owner of /proc files tells only root apart from the process's user")
	}
	if log := s.log.String(); strings.Contains(log, "hardened") || strings.Contains(log, "locked memory") {
		t.Errorf("skr could not harden itself: %s", log)
	}
}

// The audit file shows who got which key. It verifies, and verification finds a change.
func TestAudit(t *testing.T) {
	t.Parallel()
	l := newLab(t, emulator.Config{})
	file := filepath.Join(t.TempDir(), "audit.log")
	s := l.startWith(t, "SKR_AUDIT_FILE="+file).ready(t)
	if _, err := s.client.Release(t.Context(), api.ReleaseRequest{Alias: "demo"}); err != nil {
		t.Fatal(err)
	}
	_, err := s.client.Release(t.Context(), api.ReleaseRequest{MAAEndpoint: l.cloud.AttestationHost(), AKVEndpoint: l.vault, KID: "missing"})
	wantCode(t, err, api.KeyNotFound)
	_, err = s.client.Release(t.Context(), api.ReleaseRequest{MAAEndpoint: "evil.example", AKVEndpoint: l.vault, KID: "k"})
	wantCode(t, err, api.EndpointNotAllowed)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	// A separate command continues the chain.
	_, stderr, code := once(t, append(l.cloud.Environment(l.cloud.Machine()), l.keys(), "SKR_AUDIT_FILE="+file), "", "release", "--alias", "demo")
	if code != 0 {
		t.Fatalf("skr release: %s", stderr)
	}
	stdout, stderr, code := operate(t, nil, "", "audit", "verify", file)
	if code != 0 || !strings.Contains(stdout, "2 released, 2 refused, intact") {
		t.Errorf("skrctl audit verify: %d %s%s", code, stdout, stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	checkRecords(t, text, l)
	if err := os.WriteFile(file, bytes.Replace(text, []byte("loopback"), []byte("somebody"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code = operate(t, nil, "", "audit", "verify", file); code != 6 || !strings.Contains(stderr, "line 2") {
		t.Errorf("a modified file: %d %s", code, stderr)
	}
}

func checkRecords(t *testing.T, text []byte, l *lab) {
	t.Helper()
	var released, refused int
	for line := range bytes.Lines(text) {
		var r struct {
			Kind, Caller, Key, Released, Authority, Result string
			Policy                                         string `json:"policy_sha256"`
		}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		switch {
		case r.Kind != "release":
		case r.Result == "released":
			released++
			if r.Key != "https://"+l.vault+"/keys/k" || !strings.HasPrefix(r.Released, r.Key+"/") ||
				r.Authority != l.cloud.AttestationHost() || len(r.Policy) != 64 {
				t.Errorf("record %s", line)
			}
		default:
			refused++
		}
	}
	if released != 2 || refused != 2 {
		t.Errorf("%d released and %d refused: %s", released, refused, text)
	}
}

// skr refuses a release whose audit record it cannot write, and reports that in readiness.
func TestAuditFails(t *testing.T) {
	t.Parallel()
	l := newLab(t, emulator.Config{})
	file, ops := filepath.Join(t.TempDir(), "audit.log"), program.FreeAddress(t)
	_, port, _ := net.SplitHostPort(program.FreeAddress(t))
	process := exec.Command("sh", "-c", "ulimit -f 1; exec "+program.Path("skr")+" serve") // one block of 512 or 1024 bytes
	process.Env = append(l.cloud.Environment(l.cloud.Machine()), l.keys(), "Port="+port, "SKR_AUDIT_FILE="+file, "SKR_OPS_LISTEN="+ops)
	s := launch(t, process, "localhost:"+port).ready(t)
	var err error
	for range 10 { // until the file is full
		if _, err = s.client.Release(t.Context(), api.ReleaseRequest{Alias: "demo"}); err != nil {
			break
		}
	}
	wantCode(t, err, api.Internal)
	response, err := http.Get("http://" + ops + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var readiness struct{ Parts map[string]string }
	if err := json.NewDecoder(response.Body).Decode(&readiness); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusServiceUnavailable || readiness.Parts["audit"] == "ok" || readiness.Parts["evidence"] != "ok" {
		t.Errorf("readiness is %d %v", response.StatusCode, readiness)
	}
}
