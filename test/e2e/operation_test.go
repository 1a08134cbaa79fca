package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
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

// keeper is a sidecar that uses keys and does not give them out.
type keeper struct {
	*sidecar

	audit string // the file
	cloud *emulator.Cloud
	env   []string
}

// keptKey is a key in a managed HSM with an alias of its name.
type keptKey struct {
	spec    emulator.KeySpec
	ops     string
	inVault bool // and not exportable
	absent  bool // the vault does not have it
}

func newKeeper(t testing.TB, env ...string) *keeper {
	t.Helper()
	return keeperOf(t, map[string]keptKey{
		"rsa":  {spec: emulator.KeySpec{Size: 3072}, ops: `["decrypt","unwrapKey","sign"]`},
		"p256": {spec: emulator.KeySpec{Kty: "EC-HSM", Curve: "P-256"}, ops: `["sign"]`},
		"k256": {spec: emulator.KeySpec{Kty: "EC-HSM", Curve: "P-256K"}, ops: `["sign","verify"]`},
		"aes":  {spec: emulator.KeySpec{Kty: "oct-HSM", Size: 256}, ops: `["encrypt","decrypt"]`},
	}, env...)
}

func keeperOf(t testing.TB, keys map[string]keptKey, env ...string) *keeper {
	t.Helper()
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "managedhsm")
	var aliases []string
	for name, k := range keys {
		k.spec.Name = name
		how := fmt.Sprintf(`"authority":%q`, cloud.AttestationHost())
		switch {
		case k.inVault:
			how = `"in_vault":true`
			if _, err := cloud.CreateKey(t.Context(), vault, k.spec, nil); err != nil {
				t.Fatal(err)
			}
		case !k.absent:
			createKey(t, cloud, vault, k.spec)
		}
		aliases = append(aliases, fmt.Sprintf(`%q:{"vault":%q,"key":%q,%s,"ops":%s}`, name, vault, name, how, k.ops))
	}
	file := filepath.Join(t.TempDir(), "audit.log")
	env = append(append(cloud.Environment(cloud.Machine()), "SKR_KEY_CACHE_TTL=1h", "SKR_AUDIT_FILE="+file,
		"SKR_KEYS={"+strings.Join(aliases, ",")+"}"), env...)
	return &keeper{start(t, env).ready(t), file, cloud, env}
}

// An application decrypts, signs and serves TLS with keys that it never has. What others made with
// the public part opens, and the key itself cannot be had.
func TestOperations(t *testing.T) {
	t.Parallel()
	s := newKeeper(t)
	key, err := s.client.KeptKey(t.Context(), "rsa")
	if err != nil {
		t.Fatal(err)
	}
	public, _ := key.Public().(*rsa.PublicKey)
	for name, seal := range map[string]func(*testing.T, *rsa.PublicKey, string) []byte{"go": sealWithGo, "openssl": sealWithOpenSSL} {
		opened, err := key.Decrypt(nil, seal(t, public, "a secret"), &rsa.OAEPOptions{Hash: crypto.SHA256})
		if err != nil || string(opened) != "a secret" {
			t.Errorf("%s: opened %q, %v", name, opened, err)
		}
	}
	digest := sha256.Sum256([]byte("text"))
	signature, err := key.Sign(nil, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	if err != nil || rsa.VerifyPSS(public, crypto.SHA256, digest[:], signature, nil) != nil {
		t.Errorf("the signature does not verify: %v", err)
	}
	t.Run("tls", func(t *testing.T) { serveTLS(t, s) })
	t.Run("aes", func(t *testing.T) { encryptAES(t, s) })
	t.Run("kept", func(t *testing.T) { checkKept(t, s) })
	text, err := os.ReadFile(s.audit)
	if err != nil || !strings.Contains(string(text), `"result":"used","operation":"decrypt","items":1,"failed":0`) ||
		strings.Contains(string(text), `"result":"released"`) {
		t.Errorf("the audit file has no record of the operations: %v\n%s", err, text)
	}
	if stdout, stderr, code := operate(t, nil, "", "audit", "verify", s.audit); code != 0 {
		t.Errorf("skrctl audit verify: %s%s", stdout, stderr)
	}
}

func sealWithGo(t *testing.T, public *rsa.PublicKey, text string) []byte {
	t.Helper()
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func sealWithOpenSSL(t *testing.T, public *rsa.PublicKey, text string) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "public.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", file,
		"-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256")
	command.Stdin = strings.NewReader(text)
	sealed, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// serveTLS serves with a certificate of a key that stays in the sidecar.
func serveTLS(t *testing.T, s *keeper) {
	t.Helper()
	key, err := s.client.KeptKey(t.Context(), "p256")
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kept"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	defer server.Close()
	response, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if public, _ := response.TLS.PeerCertificates[0].PublicKey.(*ecdsa.PublicKey); !public.Equal(key.Public()) {
		t.Error("the server has another key")
	}
}

// encryptAES encrypts and decrypts with AES-GCM, and authenticates data beside it.
func encryptAES(t *testing.T, s *keeper) {
	t.Helper()
	encode := func(text string) api.Secret { return api.Secret(base64.RawURLEncoding.EncodeToString([]byte(text))) }
	in := api.OperationInput{Value: encode("a message"), AAD: encode("topic")}
	sealed, err := s.client.Operate(t.Context(), api.RouteEncrypt, api.OperationRequest{Alias: "aes", Alg: "A256GCM", OperationInput: in})
	if err != nil {
		t.Fatal(err)
	}
	value, err := sealed.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[string]string{"topic": "a message", "other": ""} {
		back := api.OperationInput{Value: encode(string(value)), IV: api.Secret(sealed.IV), Tag: api.Secret(sealed.Tag), AAD: encode(topic)}
		got, err := s.client.Operate(t.Context(), api.RouteDecrypt, api.OperationRequest{Alias: "aes", Alg: "A256GCM", OperationInput: back})
		opened, _ := got.Bytes()
		if string(opened) != want || (err == nil) != (want != "") {
			t.Errorf("%s: opened %q, %v", topic, opened, err)
		}
	}
}

// checkKept tries to get the keys out of the sidecar.
func checkKept(t *testing.T, s *keeper) {
	t.Helper()
	for _, alias := range []string{"rsa", "p256", "k256", "aes"} {
		_, err := s.client.ReleaseKey(t.Context(), api.ReleaseRequest{Alias: alias})
		refused, _ := errors.AsType[*api.Error](err)
		if refused == nil || refused.Code != api.CallerNotAllowed || !strings.Contains(refused.Message, "stays in the sidecar") {
			t.Errorf("%s: %v", alias, err)
		}
	}
	if _, err := s.client.Report(t.Context(), make([]byte, 65)); err == nil {
		t.Error("a key pair of a caller is attested")
	}
	_, err := s.client.Operate(t.Context(), api.RouteDecrypt, api.OperationRequest{Alias: "p256", Alg: "ES256"})
	if refused, _ := errors.AsType[*api.Error](err); refused == nil || refused.Code != api.CallerNotAllowed {
		t.Errorf("an operation that ops do not list: %v", err)
	}
}
