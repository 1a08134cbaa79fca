package outside

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skr/api"
	"skr/attest/snp"
	"skr/test/emulator"
	"skr/test/program"
	"skr/test/snptest"
	"skr/test/vtpmtest"
)

func TestMain(m *testing.M) { program.Main(m, "skr", "skrctl") }

// want holds the output of the program's steps.
var want = map[string]string{
	"report": `report verified: Milan true
AMD's own roots refuse it: true
utility VM endorsed: true false
`,
	"token": `token verified: sevsnpvm outside
tomorrow it is over: true
`,
	"quote": `quote verified, secure boot: true true
another nonce is refused: true
`,
	"keys": `rsa signs and decrypts miss true
rsa signs and decrypts hit true
p256 signs miss true
p384 signs miss true
p521 signs miss true
p256k is on a curve that Go lacks miss true
aes has 32 bytes miss true
absent is not in the vault
`,
}

func TestAnotherModule(t *testing.T) {
	built := buildOutside(t)
	environment := append(sidecar(t), "VM="+virtualMachine(t))
	listed, err := exec.CommandContext(t.Context(), built, "?").Output()
	if err == nil {
		t.Fatal("an unknown step succeeds")
	}
	names := strings.Fields(strings.Trim(strings.TrimPrefix(string(listed), "the steps are "), "[]\n"))
	if len(names) != len(want) {
		t.Errorf("the program has the steps %q, the test has %d", names, len(want))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			run := exec.CommandContext(t.Context(), built, name)
			run.Env = environment
			out, err := run.CombinedOutput()
			if diff := cmp.Diff(want[name], string(out)); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// buildOutside builds the program in its own module, which replaces this module by the
// working tree.
func buildOutside(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/module")); err != nil {
		t.Fatal(err)
	}
	goMod := fmt.Sprintf("module outside.example/program\n\ngo 1.26.0\n\nrequire skr v0.0.0\n\nreplace skr => %s\n", root)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(goMod), 0o600); err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600); err != nil {
		t.Fatal(err)
	}
	built := filepath.Join(t.TempDir(), "outside")
	build := exec.CommandContext(t.Context(), "go", "build", "-mod=mod", "-o", built, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building another module against this one: %v\n%s", err, out)
	}
	return built
}

// sidecar starts an emulated cloud with keys of each kind and skr on one of its machines. It
// returns their addresses.
func sidecar(t *testing.T) []string {
	t.Helper()
	cloud := program.Cloud(t, emulator.Config{})
	hsm := cloud.Host("demo", "managedhsm")
	policy := fmt.Appendf(nil, `{"version":"1.0.0","anyOf":[{"authority":"https://%s","allOf":[
		{"claim":"x-ms-attestation-type","equals":"sevsnpvm"}]}]}`, cloud.AttestationHost())
	for _, spec := range []emulator.KeySpec{
		{Name: "rsa", Size: 2048}, {Name: "aes", Kty: "oct-HSM", Size: 256},
		{Name: "p256", Kty: "EC-HSM", Curve: "P-256"}, {Name: "p384", Kty: "EC-HSM", Curve: "P-384"},
		{Name: "p521", Kty: "EC-HSM", Curve: "P-521"}, {Name: "p256k", Kty: "EC-HSM", Curve: "P-256K"},
	} {
		if _, err := cloud.CreateKey(t.Context(), hsm, spec, policy); err != nil {
			t.Fatal(err)
		}
	}
	environment := cloud.Environment(cloud.Machine())
	address := start(t, append(environment, "SKR_KEY_CACHE_TTL=1h"))
	outside := []string{"SIDECAR=http://" + address, "AUTHORITY=" + cloud.AttestationHost(), "VAULT=" + hsm}
	for ours, theirs := range map[string]string{"SKR_CA_FILE": "CA_FILE", "SKR_AMD_ROOTS": "AMD_ROOTS"} {
		for _, variable := range environment {
			if value, found := strings.CutPrefix(variable, ours+"="); found {
				outside = append(outside, theirs+"="+value)
			}
		}
	}
	return outside
}

func start(t *testing.T, environment []string) (address string) {
	t.Helper()
	_, port, err := net.SplitHostPort(program.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	address = "localhost:" + port
	log := new(program.Output)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	process := exec.CommandContext(ctx, program.Path("skr"))
	process.Env, process.Stderr = append(environment, "Port="+port), log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = process.Wait()
		if t.Failed() {
			t.Logf("the sidecar's log:\n%s", log)
		}
	})
	client, err := api.NewClient(api.Config{BaseURL: "http://" + address})
	if err != nil {
		t.Fatal(err)
	}
	waiting, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	if err := client.WaitReady(waiting); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	return address
}

// virtualMachine writes the evidence of a confidential VM to files.
func virtualMachine(t *testing.T) (dir string) {
	t.Helper()
	vendor, err := snptest.NewVendor(snp.Milan, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	chip, err := vendor.NewChip()
	if err != nil {
		t.Fatal(err)
	}
	ak, err := vtpmtest.NewAK()
	if err != nil {
		t.Fatal(err)
	}
	hcl, err := vtpmtest.HCL(chip, vtpmtest.Claims(ak.Public(), true), vtpmtest.HCLOptions{})
	if err != nil {
		t.Fatal(err)
	}
	log := vtpmtest.SecureBootLog(true)
	quote, err := ak.Quote(vtpmtest.QuoteOptions{PCRs: log.PCRs(), Nonce: []byte("nonce")})
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for name, data := range map[string][]byte{"hcl": hcl, "quote": quote, "log": log.Raw()} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
