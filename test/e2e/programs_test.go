package e2e

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"skr/internal/jose/jwk"
	"skr/test/emulator"
	"skr/test/program"
	"skr/test/tool"
)

// shell runs commands of other programs in a directory with what a user of the sidecar has: its
// socket, the address of the authority, and the roots.
type shell struct {
	dir string
	env []string
}

// run runs lines of sh, of which every command must succeed, and returns what they print.
func (s shell) run(t *testing.T, lines string) string {
	t.Helper()
	process := exec.CommandContext(t.Context(), "sh", "-euc", lines)
	process.Dir, process.Env = s.dir, s.env
	var problems bytes.Buffer
	process.Stderr = &problems
	out, err := process.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", lines, err, out, &problems)
	}
	return string(out)
}

// newShell starts a sidecar on a unix socket that releases the key "rsa". public.pem is the key's
// public half, from the vault.
func newShell(t *testing.T) shell {
	t.Helper()
	for _, name := range []string{"curl", "openssl"} {
		tool.Need(t, name, name)
	}
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	id := createKey(t, cloud, vault, emulator.KeySpec{Name: "rsa", Size: 2048})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "public.pem"), publicHalf(t, cloud, vault, id), 0o600); err != nil {
		t.Fatal(err)
	}
	grpc := program.FreeAddress(t)
	process := exec.Command(program.Path("skr"), "serve", "--listen", "unix:"+filepath.Join(dir, "s"))
	process.Env = append(cloud.Environment(cloud.Machine()), "SKR_GRPC_LISTEN="+grpc,
		fmt.Sprintf(`SKR_KEYS={"rsa":{"vault":%q,"key":"rsa","authority":%q}}`, vault, cloud.AttestationHost()))
	s := launch(t, process, "localhost")
	eventually(t, "the socket exists", func() bool { _, err := os.Stat(filepath.Join(dir, "s")); return err == nil })
	eventually(t, "gRPC is served", func() bool { return strings.Contains(s.log.String(), grpc) })
	return shell{dir, []string{
		"PATH=" + os.Getenv("PATH"), "CA=" + cloud.CAFile(), "AUTHORITY=" + cloud.AttestationHost(), "GRPC=" + grpc,
		"ROOTS=" + filepath.Join(filepath.Dir(cloud.CAFile()), "amd-roots.pem"),
	}}
}

// publicHalf returns the public half of a key in PEM.
func publicHalf(t *testing.T, cloud *emulator.Cloud, vault, id string) []byte {
	t.Helper()
	token, err := cloud.AccessToken(vault)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, id+"?api-version=7.4", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := cloud.HTTPClient().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var bundle struct{ Key jwk.Key }
	if err := json.NewDecoder(response.Body).Decode(&bundle); err != nil {
		t.Fatal(err)
	}
	public, err := bundle.Key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

const (
	getToken = `curl -sSf --unix-socket s -d "{\"maa_endpoint\":\"$AUTHORITY\",\"runtime_data\":\"e30=\"}" http://localhost/attest/maa`
	getCerts = `curl -sSf --cacert "$CA" "https://$AUTHORITY/certs"`
	getKey   = `curl -sSf --unix-socket s 'http://localhost/key/release?alias=rsa'`
)

// TestOpenSSL checks with openssl what curl gets from the sidecar and from the authority.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	t.Run("a released key", func(t *testing.T) {
		s.run(t, getKey+` -H 'Accept: application/pkcs8' >key.der; `+getKey+`'&format=pem' >key.pem`)
		s.run(t, `openssl pkey -in key.pem -pubout | cmp - public.pem; openssl pkey -inform DER -in key.der -pubout | cmp - public.pem`)
		const oaep = " -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256"
		got := s.run(t, `printf 'a message' | openssl pkeyutl -encrypt -pubin -inkey public.pem`+oaep+` | openssl pkeyutl -decrypt -inkey key.pem`+oaep)
		if got != "a message" {
			t.Errorf("openssl decrypts %q", got)
		}
	})
	t.Run("an attestation token", func(t *testing.T) { s.verifyToken(t) })
	t.Run("the processor's certificates", func(t *testing.T) {
		var combined struct{ Endorsements string }
		decodeJSON(t, s.run(t, `curl -sSf --unix-socket s -d '{"runtime_data":"e30="}' http://localhost/attest/combined`), &combined)
		text, err := base64.StdEncoding.DecodeString(combined.Endorsements)
		if err != nil {
			t.Fatal(err)
		}
		s.write(t, "chain.pem", string(text))
		if got := s.run(t, `openssl verify -CAfile "$ROOTS" -untrusted chain.pem chain.pem`); got != "chain.pem: OK\n" {
			t.Errorf("openssl verify: %s", got)
		}
	})
}

// verifyToken verifies the signature of a token with the certificate that its authority publishes.
func (s shell) verifyToken(t *testing.T) {
	t.Helper()
	var answer struct{ Token string }
	decodeJSON(t, s.run(t, getToken), &answer)
	parts := strings.Split(answer.Token, ".")
	if len(parts) != 3 {
		t.Fatalf("the token has %d parts", len(parts))
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Keys []struct{ X5C []string }
	}
	decodeJSON(t, s.run(t, getCerts), &set)
	s.write(t, "signed", parts[0]+"."+parts[1])
	s.write(t, "forged", parts[0]+"."+parts[1]+"x")
	s.write(t, "signature", string(signature))
	s.write(t, "signer.pem", "-----BEGIN CERTIFICATE-----\n"+set.Keys[0].X5C[0]+"\n-----END CERTIFICATE-----\n")
	const verify = "openssl dgst -sha256 -verify signer.pub -signature signature "
	s.run(t, "fold -w 64 signer.pem >folded.pem; openssl x509 -in folded.pem -pubkey -noout >signer.pub")
	if got := s.run(t, verify+"signed"); got != "Verified OK\n" {
		t.Errorf("openssl says %s", got)
	}
	s.run(t, "! "+verify+"forged >forged.out; grep -qx 'Verification failure' forged.out")
}

// TestCurl checks answers that curl's options choose.
func TestCurl(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	for _, c := range []struct{ name, lines, want string }{
		{"a JSON string", getKey + ` | head -c 1`, "{"},
		{"a JWK", getKey + ` -H 'Accept: application/jwk+json' -o /dev/null -w '%{content_type}'`, "application/jwk+json"},
		{"HTML", strings.Replace(getKey, "-sSf", "-sS", 1) + ` -H 'Accept: text/html' -o /dev/null -w '%{http_code}'`, "406"},
		{"another method", `curl -sS -X DELETE --unix-socket s http://localhost/key/release -o /dev/null -w '%{http_code}'`, "405"},
		{"HTTP/2 is offered", getKey + ` --http2 -o /dev/null -w '%{http_version}'`, "1.1"},
		// A message of gRPC begins with a byte for compression and its length; the answer is SERVING.
		{"gRPC over HTTP/2", `printf '\0\0\0\0\0' | curl -sSf --http2-prior-knowledge -H 'Content-Type: application/grpc' -H 'TE: trailers' ` +
			`--data-binary @- "http://$GRPC/grpc.health.v1.Health/Check" | od -An -tx1`, " 00 00 00 00 02 08 01\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := s.run(t, c.lines); got != c.want {
				t.Errorf("%s: %q, want %q", c.lines, got, c.want)
			}
		})
	}
}

// TestPromtool checks the alerts, and the metrics after a release, with Prometheus's own program.
func TestPromtool(t *testing.T) {
	t.Parallel()
	promtool := os.Getenv("SKR_PROMTOOL")
	if promtool == "" {
		promtool, _ = exec.LookPath("promtool") // "" if not installed
	}
	if promtool == "" {
		tool.Missing(t, "promtool", "sh test/promtool.sh DIR, and set SKR_PROMTOOL=DIR/promtool")
	}
	if out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", "../../deploy/prometheus/alerts.yaml").CombinedOutput(); err != nil {
		t.Errorf("check rules: %v\n%s", err, out)
	}
	l := newLab(t, emulator.Config{})
	ops := program.FreeAddress(t)
	s := start(t, append(l.cloud.Environment(l.cloud.Machine()), "SKR_OPS_LISTEN="+ops)).ready(t)
	if _, err := s.client.Release(t.Context(), l.request()); err != nil {
		t.Fatal(err)
	}
	response, err := http.Get("http://" + ops + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	check.Stdin = response.Body
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("check metrics: %v\n%s", err, out)
	}
}

func (s shell) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func decodeJSON(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %.200s", err, text)
	}
}
