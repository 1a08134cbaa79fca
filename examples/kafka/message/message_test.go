package message_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"skr/examples/kafka/message"
)

// pair returns a key pair of the demonstration's size.
var pair = sync.OnceValue(func() *rsa.PrivateKey { return newKey(3072) })

func newKey(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

func encrypt(t *testing.T, plain string) string {
	t.Helper()
	sealed, err := message.Encrypt(&pair().PublicKey, plain)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestRoundTrip(t *testing.T) {
	for _, plain := range []string{"", "Azure Confidential Computing", "naïve ☃", strings.Repeat("x", 318)} {
		got, err := message.Decrypt(pair(), encrypt(t, plain))
		if err != nil || got != plain {
			t.Errorf("got %q and %v, want %q", got, err, plain)
		}
	}
	got, err := message.Decrypt(pair(), encrypt(t, "a\xffb"))
	if err != nil || got != "a\uFFFDb" {
		t.Errorf("got %q and %v", got, err)
	}
}

func TestTooLong(t *testing.T) {
	if limit := message.MaxPlain(&pair().PublicKey); limit != 318 {
		t.Errorf("RSA-3072 encrypts %d bytes, want 318", limit)
	}
	_, err := message.Encrypt(&pair().PublicKey, strings.Repeat("x", 319))
	if err == nil || err.Error() != "the message has 319 bytes; RSA-3072 with OAEP-SHA256 encrypts at most 318" {
		t.Errorf("got %v", err)
	}
}

func TestDecryptRefuses(t *testing.T) {
	sealed := encrypt(t, "secret")
	foreign, err := message.Encrypt(&newKey(3072).PublicKey, "secret")
	if err != nil {
		t.Fatal(err)
	}
	changed, _ := base64.StdEncoding.DecodeString(sealed)
	changed[9] ^= 1
	for text, want := range map[string]error{
		"":                         message.ErrLength,
		"hello":                    message.ErrNotBase64,
		"aGVsbG8=":                 message.ErrLength,
		sealed + "\n!":             message.ErrNotBase64,
		strings.TrimSpace(foreign): message.ErrOtherKey,
		base64.StdEncoding.EncodeToString(changed): message.ErrOtherKey,
	} {
		if _, err := message.Decrypt(pair(), text); !errors.Is(err, want) {
			t.Errorf("%.20q: got %v, want %v", text, err, want)
		}
	}
}

// TestAgainstOpenSSL checks both directions: OpenSSL's ciphertext decrypts
// here, and ours decrypts in OpenSSL.
func TestAgainstOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed (apt-get install openssl)")
	}
	dir := t.TempDir()
	der, err := x509.MarshalPKCS8PrivateKey(pair())
	if err != nil {
		t.Fatal(err)
	}
	private := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	openssl := func(operation, in string) string {
		cmd := exec.CommandContext(t.Context(), "openssl", "pkeyutl", operation, "-inkey", private, "-pkeyopt", "rsa_padding_mode:oaep",
			"-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256")
		cmd.Stdin = strings.NewReader(in)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	sealed, err := base64.StdEncoding.DecodeString(encrypt(t, "ours"))
	if err != nil {
		t.Fatal(err)
	}
	if got := openssl("-decrypt", string(sealed)); got != "ours" {
		t.Errorf("openssl reads %q", got)
	}
	got, err := message.Decrypt(pair(), base64.StdEncoding.EncodeToString([]byte(openssl("-encrypt", "theirs"))))
	if err != nil || got != "theirs" {
		t.Errorf("got %q and %v", got, err)
	}
}

func publicPEM(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestParsePublicKey(t *testing.T) {
	got, err := message.ParsePublicKey("\n" + publicPEM(t, &pair().PublicKey))
	if err != nil || !got.Equal(&pair().PublicKey) {
		t.Errorf("got %v and %v", got, err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"MIIBojANAE=": "-----BEGIN PUBLIC KEY-----",
		strings.ReplaceAll(publicPEM(t, &pair().PublicKey), "\n", " "):                              "line ends",
		strings.ReplaceAll(publicPEM(t, &pair().PublicKey), "PUBLIC", "PRIVATE"):                    "-----BEGIN PUBLIC KEY-----",
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("not DER at all")})): "is not a public key",
		publicPEM(t, &curve.PublicKey):                                                              "is a *ecdsa.PublicKey",
		publicPEM(t, small(t)):                                                                      "of 1024 bits",
	} {
		if _, err := message.ParsePublicKey(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func small(t *testing.T) *rsa.PublicKey {
	t.Setenv("GODEBUG", "rsa1024min=0")
	return &newKey(1024).PublicKey
}

func TestParsePrivateKey(t *testing.T) {
	jwk, err := json.Marshal(jose.JSONWebKey{Key: pair()})
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := message.ParsePrivateKey(jwk)
	if err != nil || !got.Equal(pair()) {
		t.Errorf("got %v", err)
	}
	public, err := json.Marshal(jose.JSONWebKey{Key: &pair().PublicKey})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{nil, []byte("{}"), []byte(`{"kty":"oct","k":"c2VjcmV0"}`), public, []byte(`{"kty":"RSA","n":"AQ","e":"AQAB","d":"AQ"}`)} {
		if _, _, err := message.ParsePrivateKey(text); !errors.Is(err, message.ErrNotPrivate) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.40s: got %v", text, err)
		}
	}
}

// FuzzDecrypt decrypts bytes that anyone with write access to the topic can
// choose.
func FuzzDecrypt(f *testing.F) {
	for _, seed := range []string{"", "=", "aGVsbG8=", "\x00", "\r\n", strings.Repeat("A", 512), strings.Repeat("A", 513) + "==="} {
		f.Add(seed)
	}
	key := pair()
	f.Fuzz(func(t *testing.T, text string) {
		if plain, err := message.Decrypt(key, text); err == nil {
			t.Errorf("%q decrypts to %q", text, plain)
		}
	})
}

func FuzzParsePrivateKey(f *testing.F) {
	for _, seed := range []string{"", "{}", "null", `{"kty":"RSA"}`, `{"kty":"RSA","n":"","e":"","d":"","p":"","q":""}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, jwk []byte) {
		if key, _, err := message.ParsePrivateKey(jwk); (key == nil) == (err == nil) {
			t.Errorf("%q: a key and an error, or neither", jwk)
		}
	})
}

// FuzzParseVersion parses what anyone with write access to the topic can put
// into a header.
func FuzzParseVersion(f *testing.F) {
	for _, seed := range []string{"", "0123456789abcdef0123456789abcdef", "../secrets", "a/b", "\x00", strings.Repeat("a", 65)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		version, err := message.ParseVersion(text)
		if err == nil && (version != text || version == "" || len(version) > 64 || strings.ContainsAny(version, "/.%?# \n")) {
			t.Errorf("%q becomes the version %q", text, version)
		}
	})
}
