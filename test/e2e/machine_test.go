package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"skr/api"
	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/attest/vtpm"
	"skr/internal/jose/jwk"
	"skr/internal/jose/jws"
	"skr/internal/sidecar/keyproviderpb"
	"skr/internal/strictjson"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/program"
	"skr/test/swtpm"
)

// vmLab is a cloud with a virtual machine and a key for it.
type vmLab struct {
	*emulator.Cloud

	vault string
	vm    *emulator.Machine
}

var vmPlatforms = []emulator.Platform{emulator.ConfidentialVM, emulator.TDX, emulator.TrustedLaunch}

func newVMLab(t testing.TB, config emulator.MachineConfig) *vmLab {
	t.Helper()
	swtpm.Need(t)
	cloud := program.Cloud(t, emulator.Config{})
	vm, err := cloud.AddMachine("vm", config)
	if err != nil {
		t.Fatal(err)
	}
	l := &vmLab{cloud, cloud.Host("demo", "vault"), vm}
	policy := fmt.Appendf(nil, `{"version":"1.0.0","anyOf":[{"authority":"https://%s","allOf":[%s]}]}`, cloud.AttestationHost(), conditions(config))
	if _, err := cloud.CreateKey(t.Context(), l.vault, emulator.KeySpec{Name: "k", Size: 2048}, policy); err != nil {
		t.Fatal(err)
	}
	return l
}

// conditions returns the conditions that a securely started machine meets. Without an event
// log, the state of secure boot is unknown.
func conditions(c emulator.MachineConfig) string {
	all := []string{`{"claim":"x-ms-attestation-type","equals":"azurevm"}`}
	if c.EventLog == emulator.TrueLog {
		all = append(all, `{"claim":"secureboot","equals":"true"}`)
	}
	if kind := map[emulator.Platform]string{emulator.ConfidentialVM: "sevsnpvm", emulator.TDX: "tdxvm"}[c.Platform]; kind != "" {
		all = append(all, `{"claim":"x-ms-isolation-tee.x-ms-attestation-type","equals":"`+kind+`"}`,
			`{"claim":"x-ms-isolation-tee.x-ms-compliance-status","equals":"azure-compliant-cvm"}`)
	}
	return strings.Join(all, ",")
}

func (l *vmLab) request() api.ReleaseRequest {
	return api.ReleaseRequest{MAAEndpoint: l.AttestationHost(), AKVEndpoint: l.vault, KID: "k"}
}

func (l *vmLab) sidecar(t *testing.T, env ...string) *sidecar {
	t.Helper()
	return start(t, append(l.Environment(l.vm), env...)).ready(t)
}

// Every kind of virtual machine has the same API.
func TestVirtualMachines(t *testing.T) {
	t.Parallel()
	for _, platform := range vmPlatforms {
		t.Run(string(platform), func(t *testing.T) {
			l := newVMLab(t, emulator.MachineConfig{Platform: platform})
			s := l.sidecar(t, "SKR_REPORT_SOURCE=auto")
			for range 2 {
				text, err := s.client.Release(t.Context(), l.request())
				if err != nil {
					t.Fatal(err)
				}
				if key, err := jwk.Parse(text); err != nil || key.D == "" {
					t.Errorf("released %v, error %v", key, err)
				}
			}
			attested, released := l.Faults().Requests(emulator.ServiceAttest), l.Faults().Requests(emulator.ServiceRelease)
			if attested != 1 || released != 2 {
				t.Errorf("%d attestations and %d releases, want 1 and 2: the attested key is reused", attested, released)
			}
			l.checkToken(t, s)
			l.checkEvidence(t, s)
		})
	}
}

// checkToken checks that the token is bound to the caller's data.
func (l *vmLab) checkToken(t *testing.T, s *sidecar) {
	t.Helper()
	data := []byte("any bytes of the caller")
	token, err := s.client.Token(t.Context(), l.AttestationHost(), data)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := jws.Parse(string(token), 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := strictjson.Parse(signed.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := claims.Text("x-ms-runtime.client-payload.runtime-data"); got != base64.StdEncoding.EncodeToString(data) {
		t.Errorf("the token carries %q", got)
	}
	sum := sha256.Sum256(data)
	user, confidential := claims.Text("x-ms-isolation-tee.x-ms-runtime.user-data")
	if confidential && !strings.EqualFold(user, hex.EncodeToString(append(sum[:], make([]byte, 32)...))) {
		t.Errorf("the processor vouches for user data %s", user)
	}
	if confidential != (l.vm.Platform() != emulator.TrustedLaunch) {
		t.Errorf("the token has claims of a processor: %t", confidential)
	}
}

// identity returns the policy's description of an emulated machine's paravisor, which no
// key of Azure signed.
func identity(t *testing.T, e *api.Evidence) string {
	t.Helper()
	switch {
	case e.TDQuote != nil:
		quote, err := tdx.ParseQuote(e.TDQuote)
		if err != nil {
			t.Fatal(err)
		}
		return "measurements: [" + quote.MRTD().String() + "]\n"
	case e.Report != nil:
		report, err := snp.Parse(e.Report)
		if err != nil {
			t.Fatal(err)
		}
		return "measurements: [" + report.Measurement().String() + "]\n"
	}
	return ""
}

// fileOf returns the evidence about the boot, as skrctl verify takes it.
func fileOf(t *testing.T, e *api.Evidence) string {
	t.Helper()
	var file any = e.VirtualTPM
	if e.TDQuote != nil {
		file = api.CombinedResponse{TDQuote: base64.StdEncoding.EncodeToString(e.TDQuote), VirtualTPM: e.VirtualTPM}
	}
	text, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkEvidence checks that skrctl vtpm verify accepts the answer unchanged.
func (l *vmLab) checkEvidence(t *testing.T, s *sidecar) {
	t.Helper()
	data := []byte("some data")
	evidence, err := s.client.Evidence(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	if evidence.VirtualTPM == nil || (evidence.Report != nil) != (l.vm.Platform() == emulator.ConfidentialVM) ||
		(evidence.TDQuote != nil) != (l.vm.Platform() == emulator.TDX) {
		t.Fatalf("evidence %+v", evidence)
	}
	dir := t.TempDir()
	file, policy := filepath.Join(dir, "evidence.json"), filepath.Join(dir, "policy.yaml")
	trust := "hcl"
	if l.vm.Platform() == emulator.TrustedLaunch {
		trust = "certificate"
	}
	for path, content := range map[string]string{file: fileOf(t, evidence), policy: "ak: " + trust + "\n" + identity(t, evidence)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha256.Sum256(data)
	for nonce, want := range map[string]int{hex.EncodeToString(sum[:]): 0, strings.Repeat("00", 32): 6} {
		stdout, stderr, code := operate(t, l.Environment(l.vm), "", "vtpm", "verify", "--policy", policy, "--nonce", nonce, file)
		if code != want || strings.Contains(stdout, "skipped  event log") {
			t.Errorf("exit %d, want %d\n%s%s", code, want, stdout, stderr)
		}
	}
}

// A report of the processor comes with what ties it to the caller's data, over HTTP and gRPC.
// Without a confidential processor there is no report.
func TestVirtualMachineReport(t *testing.T) {
	t.Parallel()
	for _, platform := range vmPlatforms {
		t.Run(string(platform), func(t *testing.T) {
			l := newVMLab(t, emulator.MachineConfig{Platform: platform})
			address := program.FreeAddress(t)
			s := l.sidecar(t, grpcAddress+address)
			_, httpErr := s.client.Report(t.Context(), []byte("data"))
			conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			got, grpcErr := keyproviderpb.NewKeyProviderServiceClient(conn).GetReport(t.Context(), &keyproviderpb.KeyProviderGetReportInput{ReportDataHexString: "00"})
			if platform == emulator.TrustedLaunch {
				if !errors.Is(httpErr, api.NoEvidence) || grpcErr == nil || !strings.Contains(grpcErr.Error(), "Trusted Launch") {
					t.Errorf("errors %v and %v", httpErr, grpcErr)
				}
				return
			}
			if httpErr != nil || grpcErr != nil {
				t.Fatalf("errors %v and %v", httpErr, grpcErr)
			}
			index, err := base64.StdEncoding.DecodeString(got.GetHclReport())
			if err != nil {
				t.Fatal(err)
			}
			hcl, err := vtpm.ParseHCL(index)
			if err != nil || hcl.CheckBound() != nil {
				t.Fatalf("the HCL report: %v", err)
			}
			checkAround(t, hcl, got)
			sum := sha256.Sum256([]byte{0})
			if user, _ := hcl.Claims().UserData(); !strings.HasPrefix(hex.EncodeToString(user), hex.EncodeToString(sum[:])) {
				t.Errorf("user data %x", user)
			}
		})
	}
}

// checkAround checks that the HCL report has the report of the answer, or is the source of its
// TDX quote.
func checkAround(t *testing.T, hcl *vtpm.HCLReport, got *keyproviderpb.KeyProviderGetReportOutput) {
	t.Helper()
	if hcl.TDReport() == nil {
		if hex.EncodeToString(hcl.Report().Raw()) != got.GetReportHexString() || got.GetTdQuote() != "" {
			t.Error("the HCL report is not around the report")
		}
		return
	}
	raw, err := base64.StdEncoding.DecodeString(got.GetTdQuote())
	if err != nil {
		t.Fatal(err)
	}
	quote, err := tdx.ParseQuote(raw)
	if err != nil || quote.CheckReport(hcl.TDReport()) != nil || got.GetReportHexString() != "" {
		t.Errorf("the quote is not of the TD report in the HCL report: %v", err)
	}
}

// skr refuses answers that do not match what the TPM requested.
func TestVirtualMachineForgeries(t *testing.T) {
	t.Parallel()
	l := newVMLab(t, emulator.MachineConfig{Platform: emulator.ConfidentialVM})
	s := l.sidecar(t, "SKR_ATTESTATION_MAX_AGE=0")
	for _, forgery := range []string{
		"alg-none", "hs256", "other-issuer", "expired", "not-yet-valid", "other-kek", "wrong-nonce", "unknown-kid", "other-signature",
		"other-envelope-key", "flip-envelope", "short-iv",
	} {
		l.forge(t, emulator.ServiceAttest, forgery)
		_, err := s.client.Release(t.Context(), l.request())
		if !errors.Is(err, api.UntrustedResponse) {
			t.Errorf("%s: error %v", forgery, err)
		}
	}
	for _, forgery := range []string{"other-kek", "flip-ciphertext", "other-key"} {
		l.forge(t, emulator.ServiceRelease, forgery)
		if _, err := s.client.Release(t.Context(), l.request()); !errors.Is(err, api.UntrustedResponse) {
			t.Errorf("vault, %s: error %v", forgery, err)
		}
	}
	l.Faults().Clear()
	if _, err := s.client.Release(t.Context(), l.request()); err != nil {
		t.Errorf("a good release afterwards: %v", err)
	}
}

func (l *vmLab) forge(t *testing.T, service, what string) {
	t.Helper()
	l.Faults().Clear()
	l.fault(t, service+":forge="+what)
}

func (l *vmLab) fault(t *testing.T, text string) {
	t.Helper()
	rule, err := fault.ParseRule(text)
	if err == nil {
		err = l.Faults().Add(rule)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A machine that changed since its attestation has another key. One release reports that,
// and the next one attests again.
func TestVirtualMachineChanges(t *testing.T) {
	t.Parallel()
	l := newVMLab(t, emulator.MachineConfig{Platform: emulator.ConfidentialVM, EventLog: emulator.NoLog})
	s := l.sidecar(t)
	release := func() error { _, err := s.client.Release(t.Context(), l.request()); return err }
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if err := l.vm.TPM().Extend(4, []byte("another program")); err != nil {
		t.Fatal(err)
	}
	if err := release(); !errors.Is(err, api.NoEvidence) || !strings.Contains(err.Error(), "try again") {
		t.Errorf("error %v, want no_evidence", err)
	}
	if err := release(); err != nil {
		t.Errorf("the second release: %v", err)
	}
}

// A sidecar without privileges uses the TPM and the log through the agent.
func TestAgent(t *testing.T) {
	t.Parallel()
	l := newVMLab(t, emulator.MachineConfig{Platform: emulator.ConfidentialVM})
	dir, end := l.agent(t)
	s := l.sidecar(t, lent(dir)...)
	if _, err := s.client.Release(t.Context(), l.request()); err != nil {
		t.Errorf("through the agent: %v", err)
	}
	for name, mode := range map[string]os.FileMode{"tpm.sock": 0o660, "event-log": 0o644} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, error %v", name, info.Mode(), err)
		}
	}
	if err := end(); err != nil {
		t.Errorf("the agent ended with %v", err)
	}
}

// agent runs an agent on the machine, and returns the directory in which it lends the TPM.
func (l *vmLab) agent(t testing.TB) (dir string, end func() error) {
	t.Helper()
	dir, err := os.MkdirTemp("", "skr-") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	agent := exec.CommandContext(ctx, program.Path("skr"), "agent", "--dir", dir, "--group", "0")
	agent.Env = l.Environment(l.vm)
	agent.Cancel = func() error { return agent.Process.Signal(os.Interrupt) }
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	end = sync.OnceValue(func() error {
		cancel()
		if err := agent.Wait(); err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	})
	t.Cleanup(func() { _ = end() })
	eventually(t, "the agent lends the TPM", func() bool { _, err := os.Stat(filepath.Join(dir, "tpm.sock")); return err == nil })
	return dir, end
}

// lent returns the settings of a sidecar that uses an agent.
func lent(dir string) []string {
	return []string{"SKR_TPM=unix:" + filepath.Join(dir, "tpm.sock"), "SKR_EVENT_LOG=" + filepath.Join(dir, "event-log")}
}
