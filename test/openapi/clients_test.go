package openapi

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
	"skr/test/program"
	"skr/test/tool"
)

func TestMain(m *testing.M) { program.Main(m, "skr") }

// The generators, as users run them today.
const (
	oapiCodegen = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2"
	ogen        = "github.com/ogen-go/ogen/cmd/ogen@v1.25.0"
)

// printed is the output of each client: it has released the key by its alias
// and by its names, recognised a refusal by its code, and read a report.
const printed = "released RSA\nreleased RSA\nrefused true\nreport 1184\n"

func TestOapiCodegen(t *testing.T) {
	c := newClient(t, "oapi-codegen")
	c.run(t, "go", "run", oapiCodegen, "-generate", "types,client", "-package", "skr", "-o", "skr/skr.gen.go", c.description)
	c.run(t, "go", "build", "-o", "client", ".")
	c.release(t, "./client")
}

func TestOgen(t *testing.T) {
	c := newClient(t, "ogen")
	c.run(t, "go", "run", ogen, "--target", "skr", "--package", "skr", "--clean", c.description)
	c.run(t, "go", "build", "-o", "client", ".")
	c.release(t, "./client")
}

func TestTypeScript(t *testing.T) {
	tool.Need(t, "npm", "nodejs npm")
	c := newClient(t, "typescript")
	c.run(t, "npm", "ci", "--no-fund", "--no-audit", "--ignore-scripts")
	c.run(t, "node_modules/.bin/openapi-typescript", c.description, "-o", "skr.d.ts")
	c.run(t, "node_modules/.bin/tsc", "-p", ".")
	c.release(t, "node", "out/main.js")
}

// client is a directory with the sources of a client. A generator adds the
// rest.
type client struct{ dir, description string }

func newClient(t *testing.T, name string) *client {
	t.Helper()
	c := &client{dir: filepath.Join(t.TempDir(), name)}
	if err := os.CopyFS(c.dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(c.dir, "skr"), 0o750); err != nil {
		t.Fatal(err)
	}
	c.description = filepath.Join(c.dir, "openapi.yaml")
	if err := os.WriteFile(c.description, api.OpenAPI(), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// unreachable matches the messages of Go and npm when their registry is
// unreachable.
var unreachable = regexp.MustCompile(`dial tcp|no such host|i/o timeout|module lookup disabled|` +
	`ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH`)

// run runs a program in the directory. It skips the test if a registry is
// unreachable.
func (c *client) run(t *testing.T, argv ...string) {
	t.Helper()
	process := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	process.Dir, process.Env = c.dir, append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0")
	out, err := process.CombinedOutput()
	switch {
	case err == nil:
	case unreachable.Match(out):
		t.Skipf("the registry of %s is unreachable:\n%.2000s", argv[0], out)
	default:
		t.Fatalf("%s: %v\n%s", argv, err, out)
	}
}

// release runs the client, which releases a key from a real sidecar.
func (c *client) release(t *testing.T, argv ...string) {
	t.Helper()
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	policy := fmt.Appendf(nil, `{"version":"1.0.0","anyOf":[{"authority":"https://%s","allOf":[{"claim":"x-ms-sevsnpvm-hostdata","equals":"%s"}]}]}`,
		cloud.AttestationHost(), cloud.Machine().HostData())
	if _, err := cloud.CreateKey(t.Context(), vault, emulator.KeySpec{Name: "k", Size: 2048}, policy); err != nil {
		t.Fatal(err)
	}
	base := serve(t, append(cloud.Environment(cloud.Machine()),
		fmt.Sprintf(`SKR_KEYS={"orders":{"vault":%q,"key":"k","authority":%q}}`, vault, cloud.AttestationHost())))
	process := exec.CommandContext(t.Context(), argv[0], append(argv[1:], base, "orders", cloud.AttestationHost(), vault, "k")...)
	process.Dir = c.dir
	out, err := process.CombinedOutput()
	if err != nil || string(out) != printed {
		t.Errorf("the client ended with %v and printed\n%s\nwant\n%s", err, out, printed)
	}
}

// serve starts the sidecar and waits until it is ready.
func serve(t *testing.T, env []string) (base string) {
	t.Helper()
	address := program.FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	log := new(program.Output)
	process := exec.Command(program.Path("skr"))
	process.Env, process.Stderr = append(env, "Port="+port), log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	client, err := api.NewClient(api.Config{BaseURL: "http://" + address})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := client.WaitReady(ctx); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	return "http://" + address
}
