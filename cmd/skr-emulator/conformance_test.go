package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"skr/test/conformance"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/program"
)

// judged is an emulated cloud with the environment of somebody who is logged in.
type judged struct {
	cloud *emulator.Cloud
	env   []string
}

func newJudged(t *testing.T) judged {
	t.Helper()
	cloud, err := emulator.Start(t.Context(), emulator.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cloud.Close() })
	env := slices.Concat([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, cloud.Environment(cloud.Machine()), cloud.ServicePrincipal())
	return judged{cloud, env}
}

// command returns the program's conformance command for the cloud.
func (j judged) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program.Path("skr-emulator"), append([]string{"conformance"}, args...)...)
	cmd.Env = j.env
	return cmd
}

func (j judged) places() []string {
	return []string{"--maa", "https://" + j.cloud.AttestationHost(), "--vault", "https://" + j.cloud.Host("demo", "vault") + "/",
		"--hsm", j.cloud.Host("demo", "managedhsm")}
}

// code runs a command and returns its exit code with its output.
func code(t *testing.T, cmd *exec.Cmd) (int, string) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	exit, failed := errors.AsType[*exec.ExitError](err)
	if err != nil && !failed {
		t.Fatal(err)
	}
	if failed {
		return exit.ExitCode(), string(out)
	}
	return 0, string(out)
}

// TestConformance judges the emulator that the program serves, with evidence that skr prints.
func TestConformance(t *testing.T) {
	dir := t.TempDir()
	serve := exec.CommandContext(t.Context(), program.Path("skr-emulator"), "serve", "--dir", dir)
	lines := startServe(t, serve)
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	values := make(map[string]string)
	for _, line := range lines {
		entry, found := strings.CutPrefix(strings.TrimPrefix(line, "#identity "), "export ")
		if name, value, ok := strings.Cut(strings.ReplaceAll(entry, "'", ""), "="); found && ok {
			env, values[name] = append(env, name+"="+value), value
		}
	}
	data := filepath.Join(dir, "data.json")
	write(t, data, []byte(`{"keys":[]}`))
	attest := exec.CommandContext(t.Context(), program.Path("skr"), "attest", "combined", "--runtime-data", data)
	attest.Env = env
	evidence, err := attest.Output()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "evidence.json"), evidence)
	vault, hsm, _ := strings.Cut(strings.ReplaceAll(values["SKR_VAULT_ALLOW"], "*", "demo"), ",")
	cmd := exec.CommandContext(t.Context(), program.Path("skr-emulator"), "conformance", "--maa", values["MAA_ENDPOINT"], "--vault", vault, "--hsm", hsm,
		"--write", "--evidence", filepath.Join(dir, "evidence.json"), "--runtime-data", data, "--report", filepath.Join(dir, "report.json"))
	cmd.Env = env
	status, out := code(t, cmd)
	report := readReport(t, filepath.Join(dir, "report.json"))
	if status != 0 || !report.Passed() || report.Summary[conformance.Same] < 250 || !strings.Contains(out, "0 differ") {
		t.Errorf("exit code %d, %v\n%s", status, report.Summary, out)
	}
	for _, host := range []string{"demo", "sharedeus", values["AZURE_TENANT_ID"], values["AZURE_CLIENT_SECRET"]} {
		if text, err := os.ReadFile(filepath.Join(dir, "report.json")); err != nil || bytes.Contains(text, []byte(host)) {
			t.Errorf("the report has %q, or: %v", host, err)
		}
	}
}

// startServe starts the program's emulator and returns the lines that it prints until it is ready.
func startServe(t *testing.T, serve *exec.Cmd) (lines []string) {
	t.Helper()
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = serve.Process.Signal(os.Interrupt)
		_ = serve.Wait()
	})
	for scan := bufio.NewScanner(out); scan.Scan(); {
		if scan.Text() == "# ready" {
			return lines
		}
		lines = append(lines, scan.Text())
	}
	t.Fatalf("the emulator ended: %q", lines)
	return nil
}

func readReport(t *testing.T, path string) *conformance.Report {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	report := new(conformance.Report)
	if err := json.Unmarshal(text, report); err != nil {
		t.Fatal(err)
	}
	return report
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestConformanceInterrupted interrupts the program while it makes keys. It removes them, writes the
// report, and ends with exit code 1.
func TestConformanceInterrupted(t *testing.T) {
	j := newJudged(t)
	path := filepath.Join(t.TempDir(), "report.json")
	cmd := j.command(t, append(j.places(), "--write", "--report", path)...)
	progress, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(progress); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "create rsa-2048") && !strings.Contains(lines.Text(), "interrupted") {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = cmd.Wait()
	if exit, is := errors.AsType[*exec.ExitError](err); !is || exit.ExitCode() != 1 || !strings.Contains(said.String(), "skr-emulator: interrupted") {
		t.Errorf("%v\n%s", err, said.String())
	}
	report := readReport(t, path)
	last := report.Checks[len(report.Checks)-1]
	if last.Reason != "interrupted" || report.Remaining != 0 || report.Summary[conformance.Differs] > 0 {
		t.Errorf("%+v, %d remain, %v", last, report.Remaining, report.Summary)
	}
	for _, service := range []string{"vault", "managedhsm"} {
		for _, list := range []string{"keys", "deletedkeys"} {
			if text := j.get(t, j.cloud.Host("demo", service), list); !strings.Contains(text, `"value":[]`) {
				t.Errorf("%s of %s: %s", list, service, text)
			}
		}
	}
}

// get lists keys with an access token.
func (j judged) get(t *testing.T, host, list string) string {
	t.Helper()
	token, err := j.cloud.AccessToken(host)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+"/"+list+"?api-version=7.4", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := j.cloud.HTTPClient().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestConformanceUsage: what is wrong with a command line shows before any request to the services.
func TestConformanceUsage(t *testing.T) {
	j := newJudged(t)
	dir := t.TempDir()
	token, err := j.cloud.AccessToken(j.cloud.Host("demo", "managedhsm"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "hsm"), []byte(token))
	write(t, filepath.Join(dir, "none"), []byte("no token"))
	write(t, filepath.Join(dir, "evidence"), []byte("{}"))
	maa, vault := j.cloud.AttestationHost(), j.cloud.Host("demo", "vault")
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "--maa is needed"},
		{[]string{"--nope"}, "unknown flag"},
		{[]string{"--maa", maa, vault}, "unknown argument"},
		{[]string{"--maa", maa, "--vault", ""}, "--vault: the value is empty"},
		{[]string{"--maa", maa, "--report="}, "--report: the value is empty"},
		{[]string{"--maa", maa, "--write"}, "--write needs --vault or --hsm"},
		{[]string{"--maa", maa, "--vault", vault, "--access-token-file", filepath.Join(dir, "absent")}, "skr-emulator: --access-token-file: open"},
		{[]string{"--maa", "evil.example"}, "not among the allowed ones"},
		{[]string{"--maa", maa, "--vault", "evil.example"}, "does not allow the vault"},
		{[]string{"--maa", maa, "--vault", "http://" + vault}, "only https"},
		{[]string{"--maa", maa, "--vault", j.cloud.Host("demo", "managedhsm")}, "name it with --hsm"},
		{[]string{"--maa", maa, "--vault", vault, "--access-token-file", filepath.Join(dir, "hsm")}, "is the audience of no vault named here"},
		{[]string{"--maa", maa, "--vault", vault, "--access-token-file", filepath.Join(dir, "none")}, "not an access token"},
		{[]string{"--maa", maa, "--evidence", filepath.Join(dir, "evidence")}, "--evidence"},
		{[]string{"--maa", maa, "--runtime-data", filepath.Join(dir, "hsm")}, "it belongs to --evidence"},
		{[]string{"--maa", maa, "--report", filepath.Join(dir, "absent", "report")}, "cannot create a file"},
	} {
		if status, out := code(t, j.command(t, c.args...)); status != 2 || !strings.Contains(out, c.want) || strings.Contains(out, token) {
			t.Errorf("%q: exit code %d, %s", c.args, status, out)
		}
	}
	if n := j.cloud.Faults().Requests(""); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// TestConformanceTokens: a token of a file is used for its audience only.
func TestConformanceTokens(t *testing.T) {
	j := newJudged(t)
	token, err := j.cloud.AccessToken(j.cloud.Host("demo", "vault"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token")
	write(t, file, []byte(token))
	status, out := code(t, j.command(t, append(j.places(), "--access-token-file", file)...))
	if status != 0 || !strings.Contains(out, "same     Key Vault: list keys") ||
		!strings.Contains(out, "skipped  Managed HSM: list keys (there is no access token: no file of --access-token-file has a token for") {
		t.Errorf("exit code %d\n%s", status, out)
	}
	if n := j.cloud.Faults().Requests(emulator.ServiceEntra); n > 0 {
		t.Errorf("%d requests to Entra ID", n)
	}
}

// TestConformanceDiffers: a difference is named with its source, and has exit code 1.
func TestConformanceDiffers(t *testing.T) {
	j := newJudged(t)
	if err := j.cloud.Faults().Add(fault.Rule{Service: emulator.ServiceMAAConfig, Do: fault.Status, Status: http.StatusTeapot}); err != nil {
		t.Fatal(err)
	}
	status, out := code(t, j.command(t, "--maa", j.cloud.AttestationHost()))
	for _, want := range []string{"differs  Azure Attestation: OpenID configuration\n", "status 418\n", "source: Azure REST API", "1 differ"} {
		if status != 1 || !strings.Contains(out, want) {
			t.Errorf("exit code %d, %q is missing in\n%s", status, want, out)
		}
	}
}
