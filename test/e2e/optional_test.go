package e2e

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"skr/api"
	"skr/internal/config"
	"skr/internal/sidecar/keyproviderpb"
	"skr/test/emulator"
	"skr/test/program"
	"skr/test/samples"
)

// unusable maps optional parts that are present and unusable, all at once, to words of
// their reports.
var unusable = map[string]string{
	"security policy":   "security-policy-base64: illegal base64",
	"host certificate":  "the document cannot be used",
	"certificate cache": "VN2_THIM_ENDPOINT: the placeholder was not replaced",
	"UVM endorsement":   "reference-info-base64: decoding",
	"wrap_keys":         "no such file or directory",
	"ops_listen":        "address already in use",
	"tracing":           "OTEL_EXPORTER_OTLP_PROTOCOL",
}

// detecting is a cloud whose machine has no thim_url.
var detecting = emulator.Config{Machine: emulator.MachineConfig{Certificates: emulator.AtIMDS}}

// spoiledEnvironment returns the environment of the cloud's machine with all unusable parts.
func spoiledEnvironment(t *testing.T, cloud *emulator.Cloud) []string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"security-policy-base64": "%", "host-amd-cert-base64": "e30=", "reference-info-base64": "AAAA",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	return append(cloud.Environment(cloud.Machine()), "UVM_SECURITY_CONTEXT_DIR="+dir, "SKR_WRAP_KEYS=/nonexistent",
		config.VirtualNodeTHIM+"="+config.VirtualNodePlaceholder,
		opsAddress+taken.Addr().String(), "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc")
}

func problemOf(problems []api.Problem, part string) string {
	i := slices.IndexFunc(problems, func(p api.Problem) bool { return p.Part == part })
	if i < 0 {
		return ""
	}
	return problems[i].Problem
}

// With every optional part unusable the sidecar serves. It reports each part where people
// look for it: in its status, its log, and the answers that lack it.
func TestServeWithUnusableParts(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, detecting)
	vault := cloud.Host("demo", "vault")
	createKey(t, cloud, vault, emulator.KeySpec{Name: "compliant", Kty: "EC-HSM", Curve: "P-256"})
	anywhere := []byte(`{"version":"1.0.0","anyOf":[{"authority":"https://` + cloud.AttestationHost() + `","allOf":[
		{"claim":"x-ms-attestation-type","equals":"sevsnpvm"}]}]}`)
	if _, err := cloud.CreateKey(t.Context(), vault, emulator.KeySpec{Name: "any", Kty: "EC-HSM", Curve: "P-256"}, anywhere); err != nil {
		t.Fatal(err)
	}
	grpcTo := program.FreeAddress(t)
	s := start(t, append(spoiledEnvironment(t, cloud), grpcAddress+grpcTo)).ready(t)
	release := func(key string) error {
		_, err := s.client.Release(t.Context(), api.ReleaseRequest{MAAEndpoint: cloud.AttestationHost(), AKVEndpoint: vault, KID: key})
		return err
	}

	t.Run("status", func(t *testing.T) {
		status, err := s.client.Status(t.Context())
		if err != nil || status.Message != api.StatusOK {
			t.Fatalf("status %+v, error %v", status, err)
		}
		for part, words := range unusable {
			if told := problemOf(status.Problems, part); !strings.Contains(told, words) {
				t.Errorf("%s: %q, want %q", part, told, words)
			}
		}
		if len(status.Problems) != len(unusable) {
			t.Errorf("problems %+v", status.Problems)
		}
	})
	t.Run("log", func(t *testing.T) {
		for part, words := range unusable {
			if !hasLine(s.log.String(), "an optional part cannot be used", part, words) {
				t.Errorf("no line about %s with %q", part, words)
			}
		}
	})
	t.Run("evidence", func(t *testing.T) {
		evidence, err := s.client.Evidence(t.Context(), []byte("{}"))
		if err != nil || evidence.UVMEndorsements != nil || len(evidence.Problems) != 1 ||
			!strings.Contains(problemOf(evidence.Problems, "UVM endorsement"), unusable["UVM endorsement"]) {
			t.Errorf("evidence with %+v, error %v", evidence, err)
		}
	})
	t.Run("token", func(t *testing.T) {
		request, err := json.Marshal(api.MAARequest{MAAEndpoint: cloud.AttestationHost(), RuntimeData: base64.StdEncoding.EncodeToString([]byte("{}"))})
		if err != nil {
			t.Fatal(err)
		}
		var answer api.MAAResponse
		postTo(t, s, api.RouteMAA, string(request), &answer)
		if len(answer.Token) == 0 || !strings.Contains(problemOf(answer.Problems, "UVM endorsement"), unusable["UVM endorsement"]) {
			t.Errorf("problems %+v", answer.Problems)
		}
	})
	t.Run("release", func(t *testing.T) {
		if err := release("any"); err != nil {
			t.Errorf("a key that needs no endorsement: %v", err)
		}
		err := release("compliant")
		if !errors.Is(err, api.ReleaseRejected) || !strings.Contains(err.Error(), "without the UVM endorsement") ||
			!strings.Contains(err.Error(), unusable["UVM endorsement"]) {
			t.Errorf("a key that needs it: %v", err)
		}
	})
	t.Run("wrap", func(t *testing.T) {
		conn, err := grpc.NewClient(grpcTo, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_, err = keyproviderpb.NewKeyProviderServiceClient(conn).WrapKey(t.Context(), &keyproviderpb.KeyProviderKeyWrapProtocolInput{
			KeyProviderKeyWrapProtocolInput: []byte(`{"op":"keywrap","keywrapparams":{"ec":{"Parameters":{"skr":["` +
				base64.StdEncoding.EncodeToString([]byte("k")) + `"]}},"optsdata":"AAAA"}}`),
		})
		if err == nil || !strings.Contains(err.Error(), "wrap_keys cannot be used") || !strings.Contains(err.Error(), unusable["wrap_keys"]) {
			t.Errorf("error %v", err)
		}
	})
}

// hasLine reports whether a line of the log contains all words.
func hasLine(log string, words ...string) bool {
	for line := range strings.Lines(log) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			return true
		}
	}
	return false
}

func postTo(t *testing.T, s *sidecar, route, body string, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.address+route, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("status %d, error %v", answer.StatusCode, err)
	}
}

// The status of a sidecar without problems is the drop-in's, byte for byte.
func TestStatusIsTheDropIns(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	s := start(t, cloud.Environment(cloud.Machine())).ready(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.address+api.RouteStatus, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if text, err := io.ReadAll(answer.Body); err != nil || string(text) != `{"message":"Status OK"}`+"\n" {
		t.Errorf("answered %q, error %v", text, err)
	}
}

// The doctor reports each part. A part that skr works without is not a failure.
func TestDoctorTellsUnusableParts(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, detecting)
	env := spoiledEnvironment(t, cloud)
	s := start(t, env).ready(t)
	stdout, stderr, code := once(t, append(env, "SKR_LISTEN="+s.address), "", "doctor", "--output", "json")
	var found struct {
		Checks []struct{ Check, Subject, Status, Evidence, Fix string }
	}
	if err := json.Unmarshal([]byte(stdout), &found); err != nil || code != 0 {
		t.Fatalf("exit %d, error %v\n%s%s", code, err, stdout, stderr)
	}
	told := map[string]string{}
	for _, c := range found.Checks {
		switch {
		case c.Check == "optional-parts" && c.Status == "warning" && c.Fix != "":
			told[c.Subject] = c.Evidence
		case c.Check == "security-context" && (c.Status != "warning" || !strings.Contains(c.Evidence, unusable["UVM endorsement"])):
			t.Errorf("%+v", c)
		case c.Check == "local-api" && (c.Status != "warning" || !strings.Contains(c.Evidence, unusable["ops_listen"])):
			t.Errorf("%+v", c) // the doctor opens no listener, and relies on the sidecar's report
		}
	}
	for part, words := range unusable {
		if part != "ops_listen" && !strings.Contains(told[part], words) {
			t.Errorf("%s: %q, want %q", part, told[part], words)
		}
	}
}

// Commands that read files start, and report only the parts that they need.
func TestCommandsStartWithUnusableParts(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, detecting)
	env := spoiledEnvironment(t, cloud)
	dir := t.TempDir()
	report, stderr, code := once(t, cloud.Environment(cloud.Machine()), "{}", "attest", "combined")
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	policy, _, _ := operate(t, nil, "", "policy", "new", "--platform", "aci", "--authority", cloud.AttestationHost(), "--measurement", strings.Repeat("01", 32))
	for name, content := range map[string]string{"report.json": report, "policy.json": policy} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"skrctl", "show", filepath.Join(dir, "report.json")},
		{"skrctl", "report", "show", filepath.Join(dir, "report.json")},
		{"skrctl", "report", "verify", filepath.Join(dir, "report.json")},
		{"skrctl", "policy", "check", filepath.Join(dir, "policy.json")},
		{"skr", "config"}, {"skr", "version"}, {"skrctl", "version"},
	} {
		if stdout, stderr, code := runOnce(t, args[0], env, "", args[1:]...); code != 0 || stderr != "" || stdout == "" {
			t.Errorf("%q: exit %d\n%s%s", args, code, stdout, stderr)
		}
	}
	stdout, stderr, code := once(t, env, "{}", "attest", "combined")
	if code != 0 || !strings.Contains(stdout, `"problems":[{"part":"UVM endorsement"`) || !hasLine(stderr, "an optional part cannot be used", "UVM endorsement") {
		t.Errorf("attest combined: exit %d\n%s", code, stderr)
	}
	stdout, stderr, code = once(t, append(env, "SKR_CERTIFICATE_SOURCES=host"), "{}", "attest", "combined")
	if code != 5 || stdout != "" || !strings.Contains(stderr, "host document (the document cannot be used: ") {
		t.Errorf("with the host's certificate alone: exit %d\n%s", code, stderr)
	}
}

// A machine with the genuine endorsement of a current fleet starts. The endorsement is for
// another utility VM than the emulator's, which skr finds once there is a report.
func TestOctetStreamEndorsement(t *testing.T) {
	t.Parallel()
	const folder = "turn2/01-uvm-endorsement-octet-stream"
	env := []string{"UVM_SECURITY_CONTEXT_DIR=" + samples.Path(t, folder)}
	for _, name := range []string{"reference-info-base64", "uvm_0.2.10.cose"} {
		file := samples.Path(t, folder, name)
		// Alone it proves nothing: there is no report.
		if stdout, stderr, code := operate(t, env, "", "report", "verify", file); code != 6 || !hasLine(stdout, "ok ", "UVM endorsement", "by did:x509:0:") {
			t.Errorf("verify %s: exit %d\n%s%s", name, code, stdout, stderr)
		}
		if stdout, _, code := operate(t, env, "", "show", file); code != 0 || !strings.Contains(stdout, "a production build of Microsoft's") {
			t.Errorf("show %s: exit %d\n%s", name, code, stdout)
		}
	}
	cloud := program.Cloud(t, emulator.Config{})
	s := start(t, append(cloud.Environment(cloud.Machine()), env...)).ready(t)
	status, err := s.client.Status(t.Context())
	if err != nil || len(status.Problems) != 1 || !strings.Contains(problemOf(status.Problems, "UVM endorsement"), "it is for measurement 4904167a") {
		t.Errorf("status %+v, error %v", status, err)
	}
}

// The emulator's own endorsement belongs to its silicon, and causes no warning.
func TestEmulatorsEndorsementIsNoWarning(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	createKey(t, cloud, vault, emulator.KeySpec{Name: "k", Kty: "EC-HSM", Curve: "P-256"})
	env := cloud.Environment(cloud.Machine())
	key := []string{"--authority", cloud.AttestationHost(), "--vault", vault, "--key", "k"}
	for _, args := range [][]string{
		append([]string{"release"}, key...), {"attest", "combined"}, {"attest", "raw"},
		{"attest", "maa", "--authority", cloud.AttestationHost()}, append([]string{"doctor", "--listen", "localhost:1"}, key...),
	} {
		stdout, stderr, code := once(t, env, "{}", args...)
		if code != 0 || strings.Contains(stderr, "WARN") { // the log also has records of releases
			t.Errorf("%q: exit %d\n%s", args, code, stderr)
		}
		if args[0] == "doctor" && !hasLine(stdout, "ok ", "security-context", "silicon that is not AMD's") {
			t.Errorf("the doctor:\n%s", stdout)
		}
	}
	s := start(t, env).ready(t)
	if hasLine(s.log.String(), `"level":"WARN"`) {
		t.Errorf("the log warns:\n%s", s.log)
	}
}

// The agent lends the TPM even if it cannot read the event log, and leaves no old copy.
func TestAgentWithoutItsLog(t *testing.T) {
	t.Parallel()
	l := newVMLab(t, emulator.MachineConfig{Platform: emulator.TrustedLaunch, EventLog: emulator.NoLog})
	dir, err := os.MkdirTemp("", "skr-") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	old := filepath.Join(dir, "event-log")
	if err := os.WriteFile(old, []byte("of an earlier start"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := new(program.Output)
	agent := exec.CommandContext(t.Context(), program.Path("skr"), "agent", "--dir", dir, "--group", "0")
	agent.Env, agent.Stderr = append(l.Environment(l.vm), "SKR_EVENT_LOG=/proc"), log
	agent.Cancel = func() error { return agent.Process.Signal(os.Interrupt) }
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the agent lends the TPM", func() bool { return hasLine(log.String(), "lending", "tpm.sock") })
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) || !hasLine(log.String(), "WARN", "the event log cannot be read") {
		t.Errorf("the old copy: %v; the log:\n%s", err, log)
	}
}

// An unusable event log only removes what a token would say about the boot.
func TestUnusableEventLog(t *testing.T) {
	t.Parallel()
	l := newVMLab(t, emulator.MachineConfig{Platform: emulator.ConfidentialVM, EventLog: emulator.NoLog})
	createSecure := []byte(`{"version":"1.0.0","anyOf":[{"authority":"https://` + l.AttestationHost() + `","allOf":[{"claim":"secureboot","equals":"true"}]}]}`)
	if _, err := l.CreateKey(t.Context(), l.vault, emulator.KeySpec{Name: "secure", Kty: "EC-HSM", Curve: "P-256"}, createSecure); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte("a text that is no log"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := l.sidecar(t, "SKR_EVENT_LOG="+log)
	status, err := s.client.Status(t.Context())
	if err != nil || !strings.Contains(problemOf(status.Problems, "event log"), "parsing the event log") {
		t.Errorf("status %+v, error %v", status, err)
	}
	if _, err := s.client.Release(t.Context(), l.request()); err != nil {
		t.Errorf("a key that does not require secure boot: %v", err)
	}
	request := l.request()
	request.KID = "secure"
	if _, err := s.client.Release(t.Context(), request); !errors.Is(err, api.ReleaseRejected) || !strings.Contains(err.Error(), "without the event log") {
		t.Errorf("a key that requires secure boot: %v", err)
	}
}
