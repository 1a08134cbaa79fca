package images

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"skr/attest/snp"
	"skr/test/emulator"
	"skr/test/program"
)

// The tests install grpcurlVersion, from its own module.
const grpcurlVersion = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4"

func TestMain(m *testing.M) { program.Main(m, "skr", "skrctl", "skr-emulator") }

// patience is how long tests wait for an event that must happen.
const patience = 2 * time.Minute

// pod is a sidecar with a key provider in an emulated cloud, and a directory of keys to
// wrap with.
type pod struct {
	cloud         *emulator.Cloud
	vault, keys   string
	address       string // of gRPC
	log           *program.Output
	process       *exec.Cmd
	environment   []string
	otherWorkload snp.HostData
}

// newPod creates a 3072-bit key named "layers", which the pod may release, and a key named
// "locked", which another workload may release.
func newPod(t testing.TB, env ...string) *pod {
	t.Helper()
	cloud := program.Cloud(t, emulator.Config{})
	p := &pod{cloud: cloud, vault: cloud.Host("demo", "vault"), keys: t.TempDir(), otherWorkload: snp.HostData{1}, log: &program.Output{}}
	p.create(t, "layers", cloud.Machine().HostData())
	p.create(t, "locked", p.otherWorkload)
	p.start(t, env...)
	return p
}

// create creates a key as an operator does.
func (p *pod) create(t testing.TB, name string, workload snp.HostData) {
	t.Helper()
	create := exec.Command(program.Path("skrctl"), "key", "create", name, "--vault", p.vault, "--authority", p.cloud.AttestationHost(),
		"--platform", "aci", "--measurement", workload.String(), "--out-dir", p.keys)
	create.Env = p.cloud.Environment(p.cloud.Machine())
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("creating the key: %v\n%s", err, out)
	}
}

func (p *pod) start(t testing.TB, env ...string) {
	t.Helper()
	p.address = program.FreeAddress(t)
	p.process = exec.Command(program.Path("skr"))
	p.environment = append(p.cloud.Environment(p.cloud.Machine()), "SKR_LISTEN=", "SKR_GRPC_LISTEN="+p.address, "SKR_WRAP_KEYS="+p.keys)
	p.process.Env = append(p.environment, env...)
	p.process.Stderr = p.log
	if err := p.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop() })
	for _, assignment := range env {
		if address, ok := strings.CutPrefix(assignment, "SKR_GRPC_LISTEN="); ok {
			p.address = address
		}
	}
	p.await(t)
}

func (p *pod) stop() {
	_ = p.process.Process.Signal(os.Interrupt)
	_ = p.process.Wait()
}

// await waits for the gRPC health status of a sidecar that is ready.
func (p *pod) await(t testing.TB) {
	t.Helper()
	client := grpc_health_v1.NewHealthClient(p.dial(t))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		answer, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.WaitForReady(true))
		if err == nil && answer.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("not ready: %v\n%s", err, p.log)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (p *pod) dial(t testing.TB) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(p.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestSkopeo encrypts an image's layers through the key provider, and decrypts them through
// it.
func TestSkopeo(t *testing.T) {
	t.Parallel()
	skopeo := findSkopeo(t)
	p := newPod(t, "SKR_KEY_CACHE_TTL=1m")
	images := t.TempDir()
	writeImage(t, filepath.Join(images, "plain"), 12)
	p.copy(t, skopeo, "", "--encryption-key", "provider:skr:layers", "oci:"+images+"/plain:x", "oci:"+images+"/encrypted:x")
	if layers := layersOf(t, filepath.Join(images, "encrypted")); len(layers) != 12 || !strings.HasSuffix(layers[0], "+encrypted") {
		t.Fatalf("the layers are %q", layers)
	}
	releases := p.cloud.Faults().Requests(emulator.ServiceRelease)
	p.copy(t, skopeo, "", "--decryption-key", "provider:skr:skr", "oci:"+images+"/encrypted:x", "oci:"+images+"/decrypted:x")
	if got, want := content(t, filepath.Join(images, "decrypted")), content(t, filepath.Join(images, "plain")); got != want {
		t.Errorf("the decrypted layers differ from the original")
	}
	if asked := p.cloud.Faults().Requests(emulator.ServiceRelease) - releases; asked != 1 {
		t.Errorf("twelve layers cost %d requests to the vault, want 1", asked)
	}
	t.Run("refusals", func(t *testing.T) { p.refusals(t, skopeo, images) })
}

// The example reports what it lacks and how to get it, before it starts anything.
func TestExampleSaysWhatItNeeds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ env, want string }{
		"no programs":      {"BIN=" + t.TempDir(), "run make build first"},
		"no skopeo":        {"SKOPEO=skopeo-that-is-not-there", "is not installed. Do one of these:\n  apt-get install skopeo"},
		"no key providers": {"SKOPEO=/bin/true", "/bin/true does not support key providers. Do one of these:"},
	} {
		example := exec.Command("sh", "examples/encrypted-image/run.sh")
		example.Dir = "../.."
		example.Env = append(os.Environ(), "BIN="+program.Directory(), c.env)
		out, err := example.CombinedOutput()
		if err == nil || example.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if strings.Contains(string(out), "-- an emulated cloud") {
			t.Errorf("%s: it starts anyway\n%s", name, out)
		}
	}
}

// findSkopeo finds a skopeo that supports key providers. Debian 12's does not.
func findSkopeo(t *testing.T) string {
	t.Helper()
	path := os.Getenv("SKR_SKOPEO")
	if path == "" {
		path, _ = exec.LookPath("skopeo") // "" if not installed
	}
	program, err := os.ReadFile(path)
	if err == nil && (bytes.Contains(program, []byte("keyprovider")) || bytes.HasPrefix(program, []byte("#!"))) {
		return path
	}
	t.Skip("no skopeo that supports key providers: run `sh test/images/skopeo.sh DIR`, and set SKR_SKOPEO=DIR/skopeo")
	return ""
}

// refusals checks that each refusal has a clear message in skopeo's output.
func (p *pod) refusals(t *testing.T, skopeo, images string) {
	out := "oci:" + images + "/none:x"
	p.copy(t, skopeo, "has no information of the key", "--encryption-key", "provider:skr:nothing", "oci:"+images+"/plain:x", out)
	p.copy(t, skopeo, "", "--encryption-key", "provider:skr:locked", "oci:"+images+"/plain:x", "oci:"+images+"/locked:x")
	p.copy(t, skopeo, "not met is: x-ms-sevsnpvm-hostdata equals", "--decryption-key", "provider:skr:skr", "oci:"+images+"/locked:x", out)
	p.rename(t, "layers", "absent")
	p.copy(t, skopeo, "", "--encryption-key", "provider:skr:absent", "oci:"+images+"/plain:x", "oci:"+images+"/absent:x")
	p.copy(t, skopeo, "the vault has no key", "--decryption-key", "provider:skr:skr", "oci:"+images+"/absent:x", out)
	p.stop()
	p.copy(t, skopeo, "connection refused", "--decryption-key", "provider:skr:skr", "oci:"+images+"/encrypted:x", out)
}

// rename copies the description of a key to a name that the vault does not have.
func (p *pod) rename(t *testing.T, from, to string) {
	t.Helper()
	for _, suffix := range []string{"-info.json", "-pub.pem"} {
		text := strings.ReplaceAll(string(readFile(t, filepath.Join(p.keys, from+suffix))), from+"-pub.pem", to+"-pub.pem")
		writeFile(t, filepath.Join(p.keys, to+suffix), []byte(text))
	}
}

// copy runs skopeo copy. If words is not empty, skopeo must fail and print them.
func (p *pod) copy(t *testing.T, skopeo, words string, args ...string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "ocicrypt.json")
	text := `{"key-providers":{"skr":{"grpc":"` + p.address + `"}}}`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	copying := exec.Command(skopeo, append([]string{"--insecure-policy", "copy"}, args...)...)
	copying.Env = append(os.Environ(), "OCICRYPT_KEYPROVIDER_CONFIG="+config)
	out, err := copying.CombinedOutput()
	if words == "" && err != nil {
		t.Fatalf("skopeo %s: %v\n%s\n%s", args, err, out, p.log)
	}
	if words != "" && (err == nil || !strings.Contains(string(out), words)) {
		t.Errorf("skopeo %s: %v\n%s\nwant %q", args, err, out, words)
	}
}

// TestGRPCurl: a client without the protocol's definition lists and calls each method.
func TestGRPCurl(t *testing.T) {
	t.Parallel()
	install := exec.Command("go", "install", grpcurlVersion)
	install.Env = append(os.Environ(), "GOBIN="+program.Directory(), "GOFLAGS=-tags=grpcnotrace")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("installing grpcurl: %v\n%s", err, out)
	}
	p := newPod(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{p.address, "list"}, "grpc.health.v1.Health\ngrpc.reflection.v1.ServerReflection\n" +
			"grpc.reflection.v1alpha.ServerReflection\nkey_provider.KeyProviderService\nkeyprovider.KeyProviderService\n"},
		{[]string{p.address, "list", "key_provider.KeyProviderService"}, "key_provider.KeyProviderService.GetAttestationData\n" +
			"key_provider.KeyProviderService.GetReport\nkey_provider.KeyProviderService.SayHello\n" +
			"key_provider.KeyProviderService.UnWrapKey\nkey_provider.KeyProviderService.WrapKey\n"},
		{[]string{"-d", `{"name":"you"}`, p.address, "key_provider.KeyProviderService/SayHello"}, `"message": "Hello you"`},
		{[]string{"-d", `{"reportDataHexString":"6869"}`, p.address, "key_provider.KeyProviderService/GetReport"}, `"reportHexString": "0300000`},
		{[]string{"-d", `{"b64RuntimeDataString":"aGk="}`, p.address, "key_provider.KeyProviderService/GetAttestationData"}, `"uvmReferenceInfo": "`},
		{[]string{p.address, "grpc.health.v1.Health/Check"}, `"status": "SERVING"`},
	} {
		out, err := exec.Command(program.Path("grpcurl"), append([]string{"-plaintext"}, c.args...)...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("grpcurl %s: %v\n%s\nwant %s", c.args, err, out, c.want)
		}
	}
	for _, service := range []string{"key_provider", "keyprovider"} {
		p.wrapAndUnwrap(t, service+".KeyProviderService")
	}
}

// wrapAndUnwrap calls both methods of a service with grpcurl.
func (p *pod) wrapAndUnwrap(t *testing.T, service string) {
	t.Helper()
	member := map[string]string{
		"key_provider.KeyProviderService": "key_provider_key_wrap_protocol_", "keyprovider.KeyProviderService": "KeyProviderKeyWrapProtocol",
	}[service]
	in, outMember := member+"input", "keyProviderKeyWrapProtocolOutput"
	if service == "keyprovider.KeyProviderService" {
		in, outMember = member+"Input", "KeyProviderKeyWrapProtocolOutput"
	}
	call := func(method string, input []byte) []byte {
		body, err := json.Marshal(map[string][]byte{in: input})
		if err != nil {
			t.Fatal(err)
		}
		process := exec.Command(program.Path("grpcurl"), "-plaintext", "-d", "@", p.address, service+"/"+method)
		process.Stdin = bytes.NewReader(body)
		out, err := process.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", method, err, out)
		}
		var answer map[string][]byte
		if err := json.Unmarshal(out, &answer); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return answer[outMember]
	}
	var wrapped struct {
		Results struct {
			Annotation []byte `json:"annotation"`
		} `json:"keywrapresults"`
	}
	decode(t, call("WrapKey", wrapInput("layers", "the secret")), &wrapped)
	var unwrapped struct {
		Results struct {
			Data []byte `json:"optsdata"`
		} `json:"keyunwrapresults"`
	}
	decode(t, call("UnWrapKey", unwrapInput(wrapped.Results.Annotation)), &unwrapped)
	if string(unwrapped.Results.Data) != "the secret" {
		t.Errorf("%s: got %q", service, unwrapped.Results.Data)
	}
}

func decode(t testing.TB, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// TestExample: the example runs to its end and prints what it decrypted.
func TestExample(t *testing.T) {
	t.Parallel()
	skopeo := findSkopeo(t)
	_, port, _ := net.SplitHostPort(program.FreeAddress(t))
	example := exec.Command("sh", "examples/encrypted-image/run.sh")
	example.Dir = "../.."
	example.Env = append(os.Environ(), "BIN="+program.Directory(), "SKOPEO="+skopeo, "PORT="+port)
	out, err := example.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "the model's weights\n\n-- done") {
		t.Errorf("%v\n%s", err, out)
	}
}
