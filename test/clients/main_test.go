package clients

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

	"skr/api"
	"skr/test/emulator"
	"skr/test/program"
)

// clientVariable makes the test binary a client: sops or cosign.
const clientVariable = "SKR_TEST_CLIENT"

func TestMain(m *testing.M) {
	if name := os.Getenv(clientVariable); name != "" {
		if err := clients[name](context.Background(), os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if err := os.Chdir("../.."); err != nil { // skr is built as it ships, with the versions of its own module
		panic(err)
	}
	program.Main(m, "skr")
}

// testdata is the directory of the clients' sources.
const testdata = "test/clients/testdata"

// name is a host below localhost, which the hosts file of a client maps to the loopback address.
const name = "keys.localhost"

// vault is a sidecar with crypto_listen.
type vault struct{ dir, port string }

// keys of the sidecar and what callers may do with them.
var keys = []struct {
	spec emulator.KeySpec
	ops  string
}{
	{emulator.KeySpec{Name: "rsa", Size: 3072}, `["decrypt","unwrapKey","sign"]`},
	{emulator.KeySpec{Name: "orders", Size: 2048}, `["decrypt","sign"]`}, // as in docs/keys-in-use.md
	{emulator.KeySpec{Name: "all", Size: 2048}, `["encrypt","decrypt","wrapKey","unwrapKey","sign","verify"]`},
	{emulator.KeySpec{Name: "p256", Kty: "EC-HSM", Curve: "P-256"}, `["sign","verify"]`},
	{emulator.KeySpec{Name: "k256", Kty: "EC-HSM", Curve: "P-256K"}, `["sign","verify"]`},
	{emulator.KeySpec{Name: "aes", Kty: "oct-HSM", Size: 256}, `["encrypt","decrypt","wrapKey","unwrapKey"]`},
}

func newVault(t *testing.T) vault {
	t.Helper()
	cloud := program.Cloud(t, emulator.Config{})
	host := cloud.Host("demo", "managedhsm")
	policy := fmt.Appendf(nil, `{"version":"1.0.0","anyOf":[{"authority":"https://%s","allOf":[{"claim":"x-ms-sevsnpvm-hostdata","equals":"%s"}]}]}`,
		cloud.AttestationHost(), cloud.Machine().HostData())
	var aliases []string
	for _, key := range keys {
		if _, err := cloud.CreateKey(t.Context(), host, key.spec, policy); err != nil {
			t.Fatal(err)
		}
		aliases = append(aliases, fmt.Sprintf(`%q:{"vault":%q,"key":%q,"authority":%q,"ops":%s}`,
			key.spec.Name, host, key.spec.Name, cloud.AttestationHost(), key.ops))
	}
	crypto := program.FreeAddress(t)
	_, port, _ := net.SplitHostPort(crypto)
	v := vault{t.TempDir(), port}
	start(t, append(cloud.Environment(cloud.Machine()), "SKR_KEY_CACHE_TTL=1h", "SKR_KEYS={"+strings.Join(aliases, ",")+"}",
		"SKR_CRYPTO_LISTEN="+crypto, "SKR_CRYPTO_DIR="+v.dir, "SKR_CRYPTO_NAMES="+name))
	return v
}

// start starts skr and waits until it is ready.
func start(t *testing.T, env []string) {
	t.Helper()
	address, log := program.FreeAddress(t), new(program.Output)
	process := exec.Command(program.Path("skr"))
	process.Env, process.Stderr = append(env, "SKR_LISTEN="+address), log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	client, err := api.NewClient(api.Config{BaseURL: "http://" + address})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := client.WaitReady(ctx); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
}

func (v vault) ca() string { return filepath.Join(v.dir, "ca.pem") }

// token is the file of the token.
func (v vault) token() string { return filepath.Join(v.dir, "token") }

// url is the vault's URL for clients that do not compare it with the challenge.
func (v vault) url() string { return "https://127.0.0.1:" + v.port }

// run runs a client and checks what it prints.
func run(t *testing.T, process *exec.Cmd, want string) {
	t.Helper()
	out, err := process.CombinedOutput()
	if err != nil || string(out) != want {
		t.Errorf("the client ended with %v and printed\n%s\nwant\n%s", err, out, want)
	}
}
