package emulator_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skr/attest"
	attestmaa "skr/attest/maa"
	"skr/attest/snp"
	"skr/attest/uvm"
	"skr/attest/vcek"
	"skr/hsm"
	"skr/internal/azure/entra"
	"skr/internal/azure/httpclient"
	"skr/internal/refusal"
	"skr/internal/sidecar/parties"
	"skr/keyrelease"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/snptest"
)

// start runs a cloud for one test.
func start(t *testing.T, c emulator.Config) *emulator.Cloud {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	cloud, err := emulator.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return cloud
}

// sidecar is the product's own pipeline, configured by the environment alone.
type sidecar struct {
	releaser    *keyrelease.Releaser
	authorities *attest.Authorities
	vaults      *hsm.Vaults
}

func newSidecar(t *testing.T, environment []string) *sidecar {
	t.Helper()
	env := make(map[string]string)
	for _, line := range environment {
		name, value, _ := strings.Cut(line, "=")
		env[name] = value
	}
	ca := readFile(t, env["SKR_CA_FILE"])
	pool := certPool(t, ca)
	direct := httpclient.TransportConfig{Direct: true, Rewrite: map[string]*url.URL{"169.254.169.254": parseURL(t, env["SKR_IMDS_URL"])}}
	retry := httpclient.Retry{Attempts: 1}
	services := httpclient.New(httpclient.Config{Service: "the cloud", Transport: httpclient.NewTransport(httpclient.TransportConfig{Roots: pool}), Retry: retry})
	metadata := httpclient.New(httpclient.Config{Service: "IMDS", Transport: httpclient.NewTransport(direct), Retry: retry})

	authorities, err := attest.ParseAuthorities(strings.Split(env["SKR_MAA_ALLOW"], ","))
	must(t, err)
	vaults, err := hsm.ParseVaults(strings.Split(env["SKR_VAULT_ALLOW"], ","))
	must(t, err)
	identity, err := entra.New(entra.Config{HTTP: services, IMDS: metadata})
	must(t, err)
	return &sidecar{
		releaser: keyrelease.New(keyrelease.Config{
			Attester: newAttester(t, env, metadata),
			Verifier: attestmaa.New(attestmaa.Config{HTTP: services.Transporter()}),
			Vault:    hsm.NewClient(hsm.Config{HTTP: services, Roots: pool}),
			Identity: parties.Identity(identity, nil),
		}),
		authorities: authorities,
		vaults:      vaults,
	}
}

func newAttester(t *testing.T, env map[string]string, metadata *httpclient.Client) *attest.Attester {
	t.Helper()
	platform, err := uvm.Load(uvm.Config{Directory: env["UVM_SECURITY_CONTEXT_DIR"]})
	must(t, err)
	roots, err := vcek.ParseRoots(readFile(t, env["SKR_AMD_ROOTS"]))
	must(t, err)
	source, err := snp.NewSource(env["SKR_REPORT_SOURCE"])
	must(t, err)
	host, err := vcek.NewHostSource(platform.HostCertificate)
	must(t, err)
	return attest.NewAttester(attest.Config{
		Source:      source,
		Endorsement: platform.Endorsement,
		Endorser: vcek.NewEndorser(vcek.Config{
			Sources: []vcek.Source{host, vcek.NewTHIMSource(metadata.Transporter(), env["SKR_THIM_URL"], "")},
			Roots:   roots,
		}),
	})
}

func (s *sidecar) release(t *testing.T, authority, vault, name string) (*hsm.Key, error) {
	t.Helper()
	parsed, err := s.authorities.Parse(authority)
	must(t, err)
	id, err := s.vaults.Parse(vault, name)
	must(t, err)
	return s.releaser.Release(t.Context(), keyrelease.Request{Authority: parsed, Key: id})
}

// policyFor returns a release policy with one condition in addition to the
// usual ones.
func policyFor(cloud *emulator.Cloud, hostData snp.HostData) []byte {
	text, _ := json.Marshal(map[string]any{
		"version": "1.0.0",
		"anyOf": []any{map[string]any{
			"authority": "https://" + cloud.AttestationHost(),
			"allOf": []any{
				map[string]any{"claim": "x-ms-attestation-type", "equals": "sevsnpvm"},
				map[string]any{"claim": "x-ms-compliance-status", "equals": "azure-compliant-uvm"},
				map[string]any{"claim": "x-ms-sevsnpvm-is-debuggable", "equals": "false"},
				map[string]any{"claim": "x-ms-sevsnpvm-hostdata", "equals": hostData.String()},
			},
		}},
	})
	return text
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	return content
}

func parseURL(t *testing.T, text string) *url.URL {
	t.Helper()
	parsed, err := url.Parse(text)
	must(t, err)
	return parsed
}

// TestRelease runs a complete release with the product's own parts.
func TestRelease(t *testing.T) {
	cloud := start(t, emulator.Config{})
	for _, test := range []struct {
		service string
		spec    emulator.KeySpec
	}{
		{"vault", emulator.KeySpec{Name: "rsa", Size: 3072}},
		{"vault", emulator.KeySpec{Name: "ec", Kty: "EC-HSM", Curve: "P-256K"}},
		{"managedhsm", emulator.KeySpec{Name: "rsa"}},
		{"managedhsm", emulator.KeySpec{Name: "oct", Kty: "oct-HSM", Size: 256}},
	} {
		t.Run(test.service+" "+test.spec.Name, func(t *testing.T) {
			vault := cloud.Host("demo", test.service)
			id, err := cloud.CreateKey(t.Context(), vault, test.spec, policyFor(cloud, cloud.Machine().HostData()))
			must(t, err)
			key, err := newSidecar(t, cloud.Environment(cloud.Machine())).release(t, cloud.AttestationHost(), vault, test.spec.Name)
			must(t, err)
			if key.ID() != id {
				t.Errorf("released %s, want %s", key.ID(), id)
			}
		})
	}
}

// TestOtherMachine checks that the vault refuses another machine until that
// machine runs the right execution policy.
func TestOtherMachine(t *testing.T) {
	cloud := start(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	_, err := cloud.CreateKey(t.Context(), vault, emulator.KeySpec{Name: "k"}, policyFor(cloud, cloud.Machine().HostData()))
	must(t, err)
	other, err := cloud.AddMachine("other", emulator.MachineConfig{Policy: "package policy\n"})
	must(t, err)
	pod := newSidecar(t, cloud.Environment(other))
	if _, err := pod.release(t, cloud.AttestationHost(), vault, "k"); !errors.Is(err, refusal.ReleaseRejected) {
		t.Errorf("another CCE policy: %v", err)
	}
	other.Update(func(o *snptest.Options) { o.HostData = cloud.Machine().HostData() })
	if _, err := pod.release(t, cloud.AttestationHost(), vault, "k"); err != nil {
		t.Errorf("the right HOST_DATA: %v", err)
	}
	other.Update(func(o *snptest.Options) { o.Policy = 0x3001f | 1<<19 })
	if _, err := pod.release(t, cloud.AttestationHost(), vault, "k"); !errors.Is(err, refusal.ReleaseRejected) {
		t.Errorf("a machine with debugging: %v", err)
	}
}

// TestFirmwareUpdate leaves stale host certificates behind; THIM has the new
// ones.
func TestFirmwareUpdate(t *testing.T) {
	cloud := start(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	_, err := cloud.CreateKey(t.Context(), vault, emulator.KeySpec{Name: "k"}, policyFor(cloud, cloud.Machine().HostData()))
	must(t, err)
	pod := newSidecar(t, cloud.Environment(cloud.Machine()))
	components := cloud.Chip().TCB().Components()
	components.Microcode++
	cloud.Chip().SetTCB(components)
	_, err = pod.release(t, cloud.AttestationHost(), vault, "k")
	must(t, err)
	if got := cloud.Faults().Requests(emulator.ServiceTHIM); got != 1 {
		t.Errorf("%d requests to THIM, want 1", got)
	}
}

func TestCountersAndFaults(t *testing.T) {
	cloud := start(t, emulator.Config{Seed: 7})
	vault := cloud.Host("demo", "vault")
	_, err := cloud.CreateKey(t.Context(), vault, emulator.KeySpec{Name: "k"}, policyFor(cloud, cloud.Machine().HostData()))
	must(t, err)
	pod := newSidecar(t, cloud.Environment(cloud.Machine()))
	for _, test := range []struct {
		rule string
		want *refusal.Kind
	}{
		{"maa/attest:status=503,count=1", refusal.Unavailable},
		{"maa/attest:status=429,retry-after=1s,count=1", refusal.Throttled},
		{"maa/attest:status=400,count=1", refusal.AttestationRejected},
		{"maa/attest:not-json,count=1", refusal.Untrusted},
		{"maa/attest:forge=alg-none,count=1", refusal.Untrusted},
		{"maa/attest:forge=hs256,count=1", refusal.Untrusted},
		{"maa/attest:forge=other-issuer,count=1", refusal.Untrusted},
		{"maa/attest:forge=expired,count=1", refusal.Untrusted},
		{"maa/attest:forge=not-yet-valid,count=1", refusal.Untrusted},
		{"maa/attest:forge=other-kek,count=1", refusal.Untrusted},
		{"maa/attest:forge=wrong-nonce,count=1", refusal.Untrusted},
		{"maa/attest:forge=unknown-kid,count=1", refusal.Untrusted},
		{"maa/attest:forge=other-signature,count=1", refusal.Untrusted},
		{"vault/release:oversize,count=1", refusal.Untrusted},
		{"vault/release:status=500,count=1", refusal.Unavailable},
		{"vault/release:forge=alg-none,count=1", refusal.Untrusted},
		{"vault/release:forge=hs256,count=1", refusal.Untrusted},
		{"vault/release:forge=self-signed,count=1", refusal.Untrusted},
		{"vault/release:forge=other-kid,count=1", refusal.Untrusted},
		{"vault/release:forge=other-key,count=1", refusal.Untrusted},
		{"vault/release:forge=flip-ciphertext,count=1", refusal.Untrusted},
		{"report:status=500,count=1", refusal.NoEvidence},
	} {
		rule, err := fault.ParseRule(test.rule)
		must(t, err)
		must(t, cloud.Faults().Add(rule))
		if _, err := pod.release(t, cloud.AttestationHost(), vault, "k"); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %q", test.rule, err, test.want)
		}
		cloud.Faults().Clear() // an unused rule must not affect the next release
	}
	cloud.Faults().ResetCounters()
	_, err = pod.release(t, cloud.AttestationHost(), vault, "k")
	must(t, err)
	for service, want := range map[string]int{
		emulator.ServiceAttest:  1,
		emulator.ServiceRelease: 1,
		emulator.ServiceVault:   1,
		emulator.ServiceReport:  1,
		emulator.ServiceTHIM:    0,
	} {
		if got := cloud.Faults().Requests(service); got != want {
			t.Errorf("%s: %d requests, want %d", service, got, want)
		}
	}
}

func TestRealNames(t *testing.T) {
	cloud := start(t, emulator.Config{ExtraHosts: []string{
		"sharedeus.eus.attest.azure.net", "demo.vault.azure.net", "login.microsoftonline.com",
	}})
	policy := `{"version":"1.0.0","anyOf":[{"authority":"https://sharedeus.eus.attest.azure.net",` +
		`"allOf":[{"claim":"x-ms-attestation-type","equals":"sevsnpvm"}]}]}`
	id, err := cloud.CreateKey(t.Context(), "demo.vault.azure.net", emulator.KeySpec{Name: "k"}, []byte(policy))
	must(t, err)
	if !strings.HasPrefix(id, "https://demo.vault.azure.net/keys/k/") {
		t.Errorf("key id %s", id)
	}
	environment := strings.Join(cloud.Environment(cloud.Machine()), "\n")
	for _, want := range []string{",sharedeus.eus.attest.azure.net\n", ",demo.vault.azure.net\n"} {
		if !strings.Contains(environment, want) {
			t.Errorf("no %q in\n%s", want, environment)
		}
	}
	if _, err := get(t, cloud, "https://other.vault.azure.net/keys"); err == nil {
		t.Error("a host that is not of this cloud was reached")
	}
}

func TestMisdirected(t *testing.T) {
	cloud := start(t, emulator.Config{})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+cloud.AttestationHost()+"/certs", http.NoBody)
	must(t, err)
	request.Host = cloud.Host("demo", "vault")
	response, err := cloud.HTTPClient().Do(request)
	must(t, err)
	defer response.Body.Close() //nolint:errcheck // read only
	if response.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("status %d, want 421", response.StatusCode)
	}
}

func TestUnreachableAuthority(t *testing.T) {
	cloud := start(t, emulator.Config{})
	policy := `{"version":"1.0.0","anyOf":[{"authority":"https://sharedeus.eus.attest.azure.net","allOf":[{"claim":"a","equals":"b"}]}]}`
	_, err := cloud.CreateKey(t.Context(), cloud.Host("demo", "vault"), emulator.KeySpec{Name: "k"}, []byte(policy))
	if err == nil || !strings.Contains(err.Error(), "AKV.SKR.1012") {
		t.Errorf("got %v, want AKV.SKR.1012", err)
	}
}

func TestLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", "[::]:0", "192.0.2.1:0", ":0", "localhost:0"} {
		for _, c := range []emulator.Config{{Listen: address}, {IMDSListen: address}} {
			c.Dir = t.TempDir()
			cloud, err := emulator.Start(t.Context(), c)
			if err == nil {
				_ = cloud.Close()
				t.Errorf("%q is accepted", address)
			}
		}
	}
}

func TestSecurityContext(t *testing.T) {
	cloud := start(t, emulator.Config{})
	machine := cloud.Machine()
	platform, err := uvm.Load(uvm.Config{Directory: machine.SecurityContext()})
	must(t, err)
	if string(platform.Policy) != emulator.DefaultCCEPolicy {
		t.Errorf("policy %q", platform.Policy)
	}
	if platform.Endorsement == nil || platform.Endorsement.KnownIssuer() {
		t.Error("the endorsement is missing, or looks like Microsoft's")
	}
	chain, err := vcek.ParseTHIM(platform.HostCertificate)
	must(t, err)
	source, err := snp.NewSource("unix:" + machine.Socket())
	must(t, err)
	report, err := source.Report(t.Context(), snp.Bind([]byte("data")))
	must(t, err)
	roots, err := vcek.ParseRoots(cloud.Vendor().RootsPEM())
	must(t, err)
	must(t, chain.Verify(report, roots, time.Now()))
	if platform.Endorsement.Measurement() != report.Measurement() {
		t.Error("the endorsement is not for the machine's measurement")
	}
	if err := chain.Verify(report, vcek.BuiltinRoots(), time.Now()); err == nil {
		t.Error("AMD's own roots accept emulated silicon")
	}
}

func TestAddMachineRefusals(t *testing.T) {
	cloud := start(t, emulator.Config{})
	for _, name := range []string{"", "../x", "a/b", "security-context", "federated-token", "machine", "Upper"} {
		if _, err := cloud.AddMachine(name, emulator.MachineConfig{}); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}

// TestClose checks that no goroutine is left, including those held by a black
// hole.
func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	cloud, err := emulator.Start(ctx, emulator.Config{Dir: t.TempDir(), Faults: []fault.Rule{{Service: "maa", Do: fault.BlackHole}}})
	must(t, err)
	socket := cloud.Machine().Socket()
	held := make(chan error, 1)
	go func() {
		_, err := get(t, cloud, "https://"+cloud.AttestationHost()+"/certs")
		held <- err
	}()
	for cloud.Faults().Requests("maa") == 0 {
		runtime.Gosched()
	}
	cancel()
	if err := <-held; err == nil {
		t.Error("the black hole answered")
	}
	must(t, cloud.Close())
	if _, err := cloud.AddMachine("late", emulator.MachineConfig{}); err == nil {
		t.Error("a machine was added to a closed cloud")
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if after := runtime.NumGoroutine(); after > before {
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines before, %d after:\n%s", before, after, stacks[:runtime.Stack(stacks, true)])
	}
}

func TestRestartOverStaleSocket(t *testing.T) {
	dir := t.TempDir()
	vendor, err := snptest.NewVendor(snp.Genoa, time.Now())
	must(t, err)
	for range 2 {
		cloud := start(t, emulator.Config{Dir: dir, Vendor: vendor})
		roots := readFile(t, filepath.Join(dir, "amd-roots.pem"))
		if !bytes.Equal(roots, vendor.RootsPEM()) {
			t.Error("amd-roots.pem is not the vendor's")
		}
		must(t, cloud.Close())
	}
}

func TestLatency(t *testing.T) {
	const latency = 50 * time.Millisecond
	cloud := start(t, emulator.Config{Latency: map[string]time.Duration{"maa": latency}})
	begin := time.Now()
	_, err := get(t, cloud, "https://"+cloud.AttestationHost()+"/certs")
	must(t, err)
	if took := time.Since(begin); took < latency {
		t.Errorf("answered after %v", took)
	}
}

func TestUnknownForgeryIsRefused(t *testing.T) {
	cloud := start(t, emulator.Config{})
	for _, rule := range []fault.Rule{
		{Service: "maa", Do: fault.Forge, Forgery: "other-kid"},
		{Service: "imds", Do: fault.Forge, Forgery: "alg-none"},
	} {
		if err := cloud.Faults().Add(rule); err == nil {
			t.Errorf("%+v is accepted", rule)
		}
	}
}

func get(t *testing.T, cloud *emulator.Cloud, address string) ([]byte, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := cloud.HTTPClient().Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // read only
	return io.ReadAll(response.Body)
}

// TestMAACertificateEvidence verifies the evidence that the signing certificate
// embeds.
func TestMAACertificateEvidence(t *testing.T) {
	cloud := start(t, emulator.Config{})
	body, err := get(t, cloud, "https://"+cloud.AttestationHost()+"/certs")
	must(t, err)
	cert := firstCertificate(t, body)
	index := slices.IndexFunc(cert.Extensions, func(e extension) bool { return e.Id.String() == "1.3.6.1.4.1.311.105.1000.1" })
	if index < 0 {
		t.Fatal("no extension with evidence")
	}
	var wire struct{ SnpReport, VcekCertChain string }
	must(t, json.Unmarshal(cert.Extensions[index].Value, &wire))
	raw, err := base64.RawURLEncoding.DecodeString(wire.SnpReport)
	must(t, err)
	report, err := snp.Parse(raw)
	must(t, err)
	chain, err := base64.RawURLEncoding.DecodeString(wire.VcekCertChain)
	must(t, err)
	parsed, err := vcek.ParsePEM(chain)
	must(t, err)
	roots, err := vcek.ParseRoots(cloud.Vendor().RootsPEM())
	must(t, err)
	must(t, parsed.Verify(report, roots, time.Now()))
	if diff := cmp.Diff([32]byte{}, [32]byte(report.HostData())); diff != "" {
		t.Errorf("HOST_DATA: %s", diff)
	}
}
