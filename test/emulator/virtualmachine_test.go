package emulator_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"skr/attest/tpm"
	"skr/attest/vcek"
	"skr/attest/vtpm"
	"skr/internal/jose/jws"
	"skr/internal/jose/keywrap"
	"skr/internal/strictjson"
	"skr/test/azureguest"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/snptest"
	"skr/test/swtpm"
)

// vm is a client in a virtual machine. It uses only the machine's environment.
type vm struct {
	*azureguest.Guest

	cloud *emulator.Cloud
	env   map[string]string
}

func newVM(t *testing.T, cloud *emulator.Cloud, machine *emulator.Machine) *vm {
	t.Helper()
	v := &vm{cloud: cloud, env: make(map[string]string)}
	for _, line := range cloud.Environment(machine) {
		name, value, _ := strings.Cut(line, "=")
		v.env[name] = value
	}
	if _, mounted := v.env["UVM_SECURITY_CONTEXT_DIR"]; mounted || v.env["SKR_REPORT_SOURCE"] != "vtpm" {
		t.Errorf("the environment belongs to a container group: %v", v.env)
	}
	v.Guest = azureguest.New(t, v.env["SKR_TPM"])
	v.Log, _ = os.ReadFile(v.env["SKR_EVENT_LOG"]) // a missing log is a case of its own
	v.Chain = v.certificates(t)
	v.Quote = v.quote
	return v
}

func (v *vm) certificates(t *testing.T) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.env["SKR_THIM_URL"], http.NoBody)
	must(t, err)
	request.Header.Set("Metadata", "true")
	response, err := v.cloud.HTTPClient().Do(request)
	must(t, err)
	defer response.Body.Close() //nolint:errcheck // read only
	document, err := io.ReadAll(response.Body)
	must(t, err)
	chain, err := vcek.ParseTHIM(document)
	must(t, err)
	return chain.PEM()
}

// attest returns MAA's answer.
func (v *vm) attest(t *testing.T) (int, []byte) {
	t.Helper()
	return postJSON(t, v.cloud, "https://"+v.cloud.AttestationHost()+azureguest.Path, "", v.Info(t).Body(t))
}

// release requests the key "k". plaintext is the wrapped key, opened in the
// TPM.
func (v *vm) release(t *testing.T, vault string) (status int, text, plaintext []byte) {
	t.Helper()
	status, answer := v.attest(t)
	if status != http.StatusOK {
		return status, answer, nil
	}
	token, err := v.Open(t, answer)
	must(t, err)
	access, err := v.cloud.AccessToken(vault)
	must(t, err)
	body, err := json.Marshal(map[string]string{"target": token, "enc": string(keywrap.RSA256)})
	must(t, err)
	status, text = postJSON(t, v.cloud, "https://"+vault+"/keys/k/release?api-version=7.4", access, body)
	if status != http.StatusOK {
		return status, text, nil
	}
	plaintext, err = keywrap.Unwrap(v.Key.Decrypter(t.Context()), keywrap.RSA256, wrappedIn(t, text))
	must(t, err)
	return status, text, plaintext
}

// wrappedIn returns the ciphertext of a vault's answer. Another test verifies
// the signature.
func wrappedIn(t *testing.T, answer []byte) []byte {
	t.Helper()
	var wire struct{ Value string }
	must(t, json.Unmarshal(answer, &wire))
	statement, err := jws.Parse(wire.Value, len(wire.Value))
	must(t, err)
	payload, err := strictjson.Parse(statement.Payload)
	must(t, err)
	wrapped, _ := payload.Text("response.key.key.key_hsm")
	inner, err := base64.RawURLEncoding.DecodeString(wrapped)
	must(t, err)
	hsm, err := strictjson.Parse(inner)
	must(t, err)
	text, _ := hsm.Text("ciphertext")
	ciphertext, err := base64.RawURLEncoding.DecodeString(text)
	must(t, err)
	return ciphertext
}

// condition is one condition of a release policy.
type condition struct {
	Claim  string `json:"claim"`
	Equals string `json:"equals"`
}

func createVMKey(t *testing.T, cloud *emulator.Cloud, conditions ...condition) (vault string) {
	t.Helper()
	policy, err := json.Marshal(map[string]any{"version": "1.0.0", "anyOf": []any{map[string]any{
		"authority": "https://" + cloud.AttestationHost(), "allOf": conditions,
	}}})
	must(t, err)
	vault = cloud.Host("demo", "vault")
	_, err = cloud.CreateKey(t.Context(), vault, emulator.KeySpec{Name: "k", Kty: "EC-HSM", Curve: "P-256"}, policy)
	must(t, err)
	return vault
}

var confidentialVM = []condition{
	{"x-ms-attestation-type", "azurevm"},
	{"x-ms-isolation-tee.x-ms-attestation-type", "sevsnpvm"},
	{"x-ms-isolation-tee.x-ms-compliance-status", "azure-compliant-cvm"},
	{"x-ms-isolation-tee.x-ms-sevsnpvm-is-debuggable", "false"},
	{"secureboot", "true"},
}

// TestReleaseToVM runs a complete release, with a wrapping key that only the
// TPM holds.
func TestReleaseToVM(t *testing.T) {
	swtpm.Need(t)
	for platform, conditions := range map[emulator.Platform]func(*emulator.Machine) []condition{
		emulator.ConfidentialVM: func(*emulator.Machine) []condition { return confidentialVM },
		emulator.TDX:            func(*emulator.Machine) []condition { return tdxVM },
		emulator.TrustedLaunch: func(m *emulator.Machine) []condition {
			return []condition{{"secureboot", "true"}, {"x-ms-azurevm-vmid", m.TPM().VMID()}}
		},
	} {
		t.Run(string(platform), func(t *testing.T) {
			cloud := start(t, emulator.Config{Machine: emulator.MachineConfig{Platform: platform}})
			vault := createVMKey(t, cloud, conditions(cloud.Machine())...)
			one := newVM(t, cloud, cloud.Machine())
			if status, text, key := one.release(t, vault); status != http.StatusOK || len(key) == 0 {
				t.Fatalf("status %d: %s", status, text)
			}
			checkAuthority(t, one)
			if n, err := cloud.Machine().TPM().Loaded(); err != nil || n != 0 {
				t.Errorf("%d objects stayed in the TPM (%v)", n, err)
			}
		})
	}
}

// checkAuthority checks that the machine's AK certificate leads to
// SKR_AK_ROOTS.
func checkAuthority(t *testing.T, v *vm) {
	t.Helper()
	roots, err := vtpm.ParseRoots(readFile(t, v.env["SKR_AK_ROOTS"]))
	must(t, err)
	index, err := v.TPM.ReadIndex(t.Context(), tpm.AKCertificate)
	must(t, err)
	certificate, err := vtpm.ParseAKCertificate(index)
	must(t, err)
	must(t, certificate.Verify(roots, nil, time.Now()))
	if certificate.Verify(vtpm.AzureRoots(), nil, time.Now()) == nil {
		t.Error("the certificate leads to Azure's own root")
	}
}

// TestVMsThatAreRefused checks machines that differ in one thing from a machine
// that gets the key.
func TestVMsThatAreRefused(t *testing.T) {
	swtpm.Need(t)
	cloud := start(t, emulator.Config{})
	vault := createVMKey(t, cloud, confidentialVM...)
	for _, test := range []struct {
		name   string
		config emulator.MachineConfig
		update func(*snptest.Options)
		status int
		text   string
	}{
		{name: "good", status: http.StatusOK},
		{name: "secure-boot-off", config: emulator.MachineConfig{SecureBootOff: true}, status: http.StatusForbidden, text: "does not meet"},
		{name: "no-log", config: emulator.MachineConfig{EventLog: emulator.NoLog}, status: http.StatusForbidden, text: "does not meet"},
		{name: "false-log", config: emulator.MachineConfig{EventLog: emulator.FalseLog}, status: http.StatusBadRequest, text: "TcgLogs do not match"},
		{name: "not-compliant", config: emulator.MachineConfig{Unendorsed: true, Report: snptest.Options{GuestSVN: 1, Measurement: [48]byte{1}}},
			status: http.StatusForbidden, text: "does not meet"},
		{name: "debugging", config: emulator.MachineConfig{Report: snptest.Options{Policy: 0x3001f | 1<<19}}, status: http.StatusForbidden, text: "does not meet"},
		{name: "updated", update: func(o *snptest.Options) { o.Measurement = [48]byte{2} }, status: http.StatusForbidden, text: "does not meet"},
		{name: "trusted-launch", config: emulator.MachineConfig{Platform: emulator.TrustedLaunch}, status: http.StatusForbidden, text: "does not meet"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.config.Platform == "" {
				test.config.Platform = emulator.ConfidentialVM
			}
			machine, err := cloud.AddMachine(test.name, test.config)
			must(t, err)
			if test.update != nil {
				machine.Update(test.update)
			}
			status, text, _ := newVM(t, cloud, machine).release(t, vault)
			if status != test.status || !strings.Contains(string(text), test.text) {
				t.Errorf("status %d, want %d with %q: %.300s", status, test.status, test.text, text)
			}
		})
	}
}

// TestVMThatChanges checks that the key is lost if a register changes after the
// attestation.
func TestVMThatChanges(t *testing.T) {
	swtpm.Need(t)
	cloud := start(t, emulator.Config{Machine: emulator.MachineConfig{Platform: emulator.ConfidentialVM}})
	v := newVM(t, cloud, cloud.Machine())
	_, answer := v.attest(t)
	must(t, cloud.Machine().TPM().Extend(4, []byte("another program")))
	if _, err := v.Open(t, answer); err == nil {
		t.Error("the envelope opens in another state of the machine")
	}
}

// TestFaultsOfVMs checks that the faults of maa/attest apply, and that the
// envelope has forgeries of its own.
func TestFaultsOfVMs(t *testing.T) {
	swtpm.Need(t)
	cloud := start(t, emulator.Config{Machine: emulator.MachineConfig{Platform: emulator.TrustedLaunch}})
	v := newVM(t, cloud, cloud.Machine())
	must(t, cloud.Faults().Add(fault.Rule{Service: emulator.ServiceAttest, Do: fault.Status, Status: 429, Count: 1}))
	if status, _ := v.attest(t); status != http.StatusTooManyRequests {
		t.Errorf("status %d, want 429", status)
	}
	for _, forgery := range []string{"other-envelope-key", "flip-envelope", "short-iv"} {
		must(t, cloud.Faults().Add(fault.Rule{Service: emulator.ServiceAttest, Do: fault.Forge, Forgery: forgery, Count: 1}))
		_, answer := v.attest(t)
		if _, err := v.Open(t, answer); err == nil {
			t.Errorf("%s: the envelope opens", forgery)
		}
	}
	_, answer := v.attest(t)
	if _, err := v.Open(t, answer); err != nil {
		t.Errorf("the next answer: %v", err)
	}
	if n := cloud.Faults().Requests("maa/attest"); n != 5 {
		t.Errorf("%d requests, want 5", n)
	}
}

func TestMachinesThatCannotBe(t *testing.T) {
	cloud := start(t, emulator.Config{})
	for _, test := range []struct {
		name   string
		config emulator.MachineConfig
		want   string
	}{
		{"group", emulator.MachineConfig{SecureBootOff: true}, "only virtual machines"},
		{"group", emulator.MachineConfig{EventLog: emulator.NoLog}, "only virtual machines"},
		{"vm", emulator.MachineConfig{Platform: "azure"}, `unknown platform "azure"`},
		{"event-log", emulator.MachineConfig{}, "must consist of"},
	} {
		if _, err := cloud.AddMachine(test.name, test.config); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got %v, want %q", test.config, err, test.want)
		}
	}
	t.Setenv("PATH", "")
	_, err := cloud.AddMachine("vm", emulator.MachineConfig{Platform: emulator.TrustedLaunch})
	if err == nil || !strings.Contains(err.Error(), "apt-get install swtpm") {
		t.Errorf("without swtpm: %v", err)
	}
}

// TestCloseEndsTPMs checks that Close ends the TPMs.
func TestCloseEndsTPMs(t *testing.T) {
	swtpm.Need(t)
	cloud, err := emulator.Start(context.Background(), emulator.Config{
		Dir: t.TempDir(), Machine: emulator.MachineConfig{Platform: emulator.TrustedLaunch, EventLog: "half"},
	})
	if err == nil {
		must(t, cloud.Close())
		t.Fatal("a log of an unknown kind was made")
	}
	cloud = start(t, emulator.Config{Machine: emulator.MachineConfig{Platform: emulator.TrustedLaunch}})
	address := strings.TrimPrefix(cloud.Machine().TPM().Address(), "unix:")
	_, err = os.Stat(address)
	must(t, err)
	must(t, cloud.Close())
	if _, err := os.Stat(address); err == nil {
		t.Error("the TPM still runs after Close")
	}
}
