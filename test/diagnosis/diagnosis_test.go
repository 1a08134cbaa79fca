package diagnosis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/emulator/vault"
	"skr/test/program"
)

func TestMain(m *testing.M) { program.Main(m, "skr", "skrctl") }

// ward is a cloud with one thing wrong at a time.
type ward struct {
	cloud *emulator.Cloud
	vault string
	dir   string
	keys  atomic.Int64
}

// newWard has a good key named "good". If a key's name begins with "locked", the vault
// refuses the action in the name, as in "locked-get-3".
func newWard(t *testing.T) *ward {
	t.Helper()
	cloud := program.Cloud(t, emulator.Config{Vaults: func(_ string, c *vault.Config) { c.Permissions = locked }})
	w := &ward{cloud: cloud, vault: cloud.Host("demo", "vault"), dir: t.TempDir()}
	w.create(t, emulator.KeySpec{Name: "good"}, w.policy(""))
	return w
}

var actions = map[string]string{"get": "/keys/read", "release": "/keys/release/action"}

func locked(_ vault.Caller, action, name string) error {
	parts := strings.Split(name, "-")
	if parts[0] == "locked" && (parts[1] == "both" || strings.HasSuffix(action, actions[parts[1]])) &&
		(strings.HasSuffix(action, actions["get"]) || strings.HasSuffix(action, actions["release"])) {
		return errors.New("locked")
	}
	return nil
}

// policy returns the good policy with more conditions.
func (w *ward) policy(more string) []byte {
	return w.policyOf(w.cloud.AttestationHost(), `{"claim":"x-ms-attestation-type","equals":"sevsnpvm"},
		{"claim":"x-ms-sevsnpvm-hostdata","equals":"`+w.cloud.Machine().HostData().String()+`"},
		{"claim":"x-ms-sevsnpvm-is-debuggable","equals":"false"}`+more)
}

func (w *ward) policyOf(authority, conditions string) []byte {
	return []byte(`{"version":"1.0.0","anyOf":[{"authority":"https://` + authority + `","allOf":[` + conditions + `]}]}`)
}

// create creates a key and returns its name.
func (w *ward) create(t *testing.T, spec emulator.KeySpec, policy []byte) string {
	t.Helper()
	if spec.Name == "" || strings.HasPrefix(spec.Name, "locked") {
		spec.Name = fmt.Sprintf("%s-%d", strings.TrimSuffix("k-"+spec.Name, "-"), w.keys.Add(1))
		spec.Name = strings.Replace(spec.Name, "k-locked", "locked", 1)
	}
	spec.Kty, spec.Curve = "EC-HSM", "P-256" // quicker to make than RSA
	if _, err := w.cloud.CreateKey(t.Context(), w.vault, spec, policy); err != nil {
		t.Fatal(err)
	}
	return spec.Name
}

// file writes a file into the test's directory and returns its path.
func (w *ward) file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// situation is what a row changes: which machine requests which key, and how.
type situation struct {
	authority, vault, key string
	machine               *emulator.Machine
	timeout               string   // of requests
	env                   []string // in addition
	args                  []string // in addition
}

func (w *ward) situation() *situation {
	return &situation{authority: w.cloud.AttestationHost(), vault: w.vault, key: "good", machine: w.cloud.Machine(), timeout: "1m"}
}

// told is the output of `skr doctor --output json`.
type told struct {
	OK     bool
	Checks []finding
}

type finding struct{ Check, Subject, Status, Evidence, Fix, Details string }

// doctor runs skr doctor, and returns its findings, its exit code and standard error.
func (w *ward) doctor(t *testing.T, s *situation) (told, int, string) {
	t.Helper()
	args := []string{"doctor", "--output", "json", "--authority", s.authority, "--vault", s.vault, "--key", s.key}
	process := exec.CommandContext(t.Context(), program.Path("skr"), append(args, s.args...)...)
	process.Env = program.Unassigned(append(append(w.cloud.Environment(s.machine), "SKR_LISTEN=localhost:1", "SKR_REQUEST_TIMEOUT="+s.timeout), s.env...))
	var stderr strings.Builder
	process.Stderr = &stderr
	out, err := process.Output()
	exit, failed := errors.AsType[*exec.ExitError](err)
	if err != nil && !failed {
		t.Fatal(err)
	}
	code := 0
	if failed {
		code = exit.ExitCode()
	}
	var said told
	if len(out) > 0 {
		if err := json.Unmarshal(out, &said); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return said, code, stderr.String()
}

// patience is how long tests wait for an event that must happen.
const patience = 2 * time.Minute

// lanes is how many rows run at once; many of them wait.
const lanes = 8

// TestDiagnosis: the doctor finds the cause of each misconfiguration. A row with a fault has
// its own cloud and begins first, because most of these rows wait. The others share a cloud.
func TestDiagnosis(t *testing.T) {
	t.Parallel()
	calm, faulty := newWard(t), make(chan *ward, lanes)
	rows := make(chan misconfiguration)
	var running sync.WaitGroup
	for range lanes {
		faulty <- newWard(t)
		running.Go(func() {
			for m := range rows {
				t.Run(m.name, func(t *testing.T) { m.inWard(t, calm, faulty) })
			}
		})
	}
	for _, first := range []bool{true, false} {
		for _, m := range misconfigurations {
			if first == (m.fault != "") {
				rows <- m
			}
		}
	}
	close(rows)
	running.Wait()
}

func (m misconfiguration) inWard(t *testing.T, calm *ward, faulty chan *ward) {
	if m.fault == "" {
		m.examine(t, calm)
		return
	}
	w := <-faulty
	defer func() { faulty <- w }()
	m.examine(t, w)
}

func (m misconfiguration) examine(t *testing.T, w *ward) {
	s := w.situation()
	if m.wrong != nil {
		m.wrong(t, w, s)
	}
	if m.fault != "" {
		rule, err := fault.ParseRule(m.fault)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.cloud.Faults().Add(rule); err != nil {
			t.Fatal(err)
		}
		defer w.cloud.Faults().Clear()
		s.timeout = "9s" // some faults are silence
	}
	said, code, stderr := w.doctor(t, s)
	if code != m.exit {
		t.Errorf("exit code %d, want %d", code, m.exit)
	}
	if m.check == "" {
		if !strings.Contains(stderr, m.words) || len(said.Checks) != 0 {
			t.Errorf("said %q, want %q", stderr, m.words)
		}
		return
	}
	m.judge(t, said)
	if t.Failed() {
		t.Logf("%+v\n%s", said, stderr)
	}
	if m.claim != "" {
		m.ask(t, w, s)
	}
}

// judge checks that the first finding that is not ok is the cause.
func (m misconfiguration) judge(t *testing.T, said told) {
	status := "failure"
	if m.warning {
		status = "warning"
	}
	i := slices.IndexFunc(said.Checks, func(c finding) bool {
		return c.Status == status && (status == "failure" || c.Check == m.check)
	})
	if i < 0 {
		t.Errorf("there is no finding with status %s", status)
		return
	}
	found := said.Checks[i]
	if status == "failure" && found.Fix == "" || !strings.Contains(found.Fix, m.fix) {
		t.Errorf("%s: the advice is %q, want %q", found.Check, found.Fix, m.fix)
	}
	if found.Check != m.check || m.words == "" || !strings.Contains(found.Evidence+" "+found.Details, m.words) {
		t.Errorf("%s: %s (%s); want %s: %s", found.Check, found.Evidence, found.Details, m.check, m.words)
	}
}

// ask requests the key from the sidecar, and expects a refusal for the same reason.
func (m misconfiguration) ask(t *testing.T, w *ward, s *situation) {
	socket := "unix:" + filepath.Join(filepath.Dir(s.machine.Socket()), s.key+".sock") // rows may share the machine
	process := exec.Command(program.Path("skr"))
	process.Env = program.Unassigned(append(append(w.cloud.Environment(s.machine), "SKR_LISTEN="+socket), s.env...))
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	}()
	client, err := api.NewClient(api.Config{BaseURL: socket})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := client.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	_, err = client.Release(ctx, api.ReleaseRequest{MAAEndpoint: s.authority, AKVEndpoint: s.vault, KID: s.key})
	refused, ok := errors.AsType[*api.Error](err)
	if !ok || refused.Code != api.ReleaseRejected || len(refused.Reason) == 0 || refused.Reason[0].Claim != m.claim {
		t.Errorf("the release was refused with %+v, want a reason about %s", refused, m.claim)
	}
}

// TestHealthy: the doctor reports no fault of a healthy machine.
func TestHealthy(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	said, code, stderr := w.doctor(t, w.situation())
	if code != 0 || !said.OK {
		t.Errorf("exit code %d: %+v %s", code, said, stderr)
	}
	for _, c := range said.Checks {
		if c.Status != "ok" && c.Check != "local-api" && c.Check != "security-context" && c.Check != "measured-boot" && c.Check != "exportable" {
			t.Errorf("%s is %s: %s", c.Check, c.Status, c.Evidence)
		}
	}
}

// TestOverHTTP: the ops listener returns the same findings if it is enabled.
func TestOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	for _, c := range []struct {
		key    string
		env    string
		status int
		words  string
	}{
		{"good", "SKR_OPS_DOCTOR=true", http.StatusOK, `"ok":true`},
		{"absent", "SKR_OPS_DOCTOR=true", http.StatusServiceUnavailable, "the vault has no key"},
		{"good", "SKR_OPS_DOCTOR=false", http.StatusNotFound, "there is no such route"},
	} {
		t.Run(c.key+" "+c.env, func(t *testing.T) {
			status, body := w.overHTTP(t, c.key, c.env)
			if status != c.status || !strings.Contains(body, c.words) || strings.Contains(body, "eyJ") {
				t.Errorf("status %d, %s, want %d and %s", status, body, c.status, c.words)
			}
		})
	}
}

func (w *ward) overHTTP(t *testing.T, key, env string) (int, string) {
	t.Helper()
	address := program.FreeAddress(t)
	process := exec.Command(program.Path("skr"))
	process.Env = append(w.cloud.Environment(w.cloud.Machine()), env, "SKR_OPS_LISTEN="+address,
		"SKR_LISTEN=unix:"+filepath.Join(filepath.Dir(w.cloud.Machine().Socket()), "ops.sock"),
		`SKR_KEYS={"orders":{"vault":"`+w.vault+`","key":"`+key+`","authority":"`+w.cloud.AttestationHost()+`"}}`)
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = process.Process.Signal(os.Interrupt)
		_ = process.Wait()
	}()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get("http://" + address + "/doctor")
		if err != nil && time.Now().Before(deadline) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
}
