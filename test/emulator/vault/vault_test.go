package vault

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"skr/internal/jose/jwk"
	"skr/internal/jose/keywrap"
	"skr/test/rsakey"
)

const (
	testHost      = "test.vault.localhost"
	testAuthority = "https://maa.localhost"
	testToken     = "access token"
)

var epoch = time.Unix(1680041154, 0)

// clock is the vault's clock in a test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// signingKey and guestKey are generated once, because RSA keys are slow to
// generate.
var (
	signingKey = sync.OnceValue(func() *rsa.PrivateKey { return mustRSA() })
	guestKey   = sync.OnceValue(func() *rsa.PrivateKey { return mustRSA() })
)

func mustRSA() *rsa.PrivateKey {
	private, err := rsakey.Generate(2048)
	if err != nil {
		panic(err)
	}
	return private
}

// testChain returns leaf, intermediate and root for a host.
func testChain(t testing.TB, host string) []*x509.Certificate {
	t.Helper()
	rootKey, root := issue(t, nil, nil, &x509.Certificate{Subject: pkix.Name{CommonName: "TEST ONLY root"}, IsCA: true})
	middleKey, middle := issue(t, root, rootKey, &x509.Certificate{Subject: pkix.Name{CommonName: "TEST ONLY issuer"}, IsCA: true})
	template := certificateTemplate(&x509.Certificate{Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}})
	der, err := x509.CreateCertificate(rand.Reader, template, middle, signingKey().Public(), middleKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return []*x509.Certificate{leaf, middle, root}
}

func certificateTemplate(c *x509.Certificate) *x509.Certificate {
	c.SerialNumber, c.BasicConstraintsValid = big.NewInt(time.Now().UnixNano()), true
	c.NotBefore, c.NotAfter = epoch.Add(-time.Hour), epoch.Add(24*365*50*time.Hour)
	c.KeyUsage = x509.KeyUsageDigitalSignature
	if c.IsCA {
		c.KeyUsage = x509.KeyUsageCertSign
	}
	return c
}

func issue(t testing.TB, parent *x509.Certificate, parentKey crypto.Signer, c *x509.Certificate) (crypto.Signer, *x509.Certificate) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := certificateTemplate(c)
	if parent == nil {
		parent, parentKey = template, private
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, private.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return private, certificate
}

// testConfig returns a configuration that trusts testToken, reaches every
// authority except those named "unreachable", and verifies the tokens of
// attestationToken.
func testConfig(t testing.TB, flavour Flavour, now *clock) Config {
	t.Helper()
	return Config{
		Host: testHost, Flavour: flavour,
		Resource: "https://vault.localhost", AuthorizationURL: "https://login.localhost/tenant", Tenant: "tenant",
		VerifyAccessToken: func(token, resource string) (Caller, error) {
			if token != testToken || resource == "" {
				return Caller{}, errors.New("bad token")
			}
			return Caller{AppID: "app", ObjectID: "object"}, nil
		},
		ReachAuthority: func(_ context.Context, authority string) error {
			if authority == "" || strings.Contains(authority, "unreachable") {
				return errors.New("no such host")
			}
			return nil
		},
		VerifyToken: verifyUnsigned,
		SigningKey:  signingKey(), Chain: testChain(t, testHost),
		Now: now.Now,
	}
}

// verifyUnsigned stands in for signature verification, which is tested in
// another package: tokens of these tests end in "good" or "forged".
func verifyUnsigned(_ context.Context, authority, token string) (json.RawMessage, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[2] != "good" || authority == "" {
		return nil, errors.New("bad signature")
	}
	return decode64(parts[1])
}

func attestationToken(t testing.TB, claims map[string]any) string {
	t.Helper()
	data, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return encode64([]byte(`{"alg":"none"}`)) + "." + encode64(data) + ".good"
}

// goodClaims returns claims that meet goodPolicy and carry the guest's key.
func goodClaims(t testing.TB) map[string]any {
	t.Helper()
	k, err := jwk.FromPublic(guestKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	k.Kid, k.KeyOps = "guest", []string{"encrypt"}
	signing := k
	signing.Kid, signing.KeyOps = "signing", []string{"sign"}
	return map[string]any{
		"iss": testAuthority, "sdk-test": true,
		"x-ms-runtime": map[string]any{"keys": []jwk.Key{signing, k}},
	}
}

const goodPolicy = `{"version":"1.0.0","anyOf":[{"authority":"https://maa.localhost/","allOf":[{"claim":"sdk-test","equals":"true"}]}]}`

func policyBody(policy string, immutable bool) map[string]any {
	return map[string]any{"data": encode64([]byte(policy)), "immutable": immutable}
}

// exportableEC returns the body that creates an exportable key.
func exportableEC(policy string) map[string]any {
	return map[string]any{
		"kty": "EC-HSM", "crv": "P-256K", "attributes": map[string]any{"exportable": true},
		"release_policy": policyBody(policy, false),
	}
}

// session is a vault with its clock.
type session struct {
	t     testing.TB
	vault *Vault
	clock *clock
}

func newSession(t testing.TB, flavour Flavour, edit func(*Config)) *session {
	t.Helper()
	now := &clock{now: epoch}
	c := testConfig(t, flavour, now)
	if edit != nil {
		edit(&c)
	}
	v, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &session{t, v, now}
}

// do sends a request with api-version 7.4 unless the path has a query.
func (s *session) do(method, path string, body any) *httptest.ResponseRecorder {
	s.t.Helper()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			s.t.Fatal(err)
		}
	}
	if !strings.Contains(path, "?") {
		path += "?api-version=7.4"
	}
	r := httptest.NewRequestWithContext(s.t.Context(), method, "https://"+testHost+path, strings.NewReader(string(text)))
	r.Header.Set("Authorization", "Bearer "+testToken)
	w := httptest.NewRecorder()
	s.vault.ServeHTTP(w, r)
	return w
}

// must sends a request, requires the status, and decodes the answer.
func (s *session) must(status int, method, path string, body any) map[string]any {
	s.t.Helper()
	w := s.do(method, path, body)
	if w.Code != status {
		s.t.Fatalf("%s %s: status %d, want %d: %s", method, path, w.Code, status, w.Body)
	}
	var decoded map[string]any
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &decoded); err != nil {
			s.t.Fatal(err)
		}
	}
	return decoded
}

// at returns the value at a path of decoded JSON.
func at(t testing.TB, value any, path ...string) any {
	t.Helper()
	for _, name := range path {
		object, isObject := value.(map[string]any)
		if !isObject || object[name] == nil {
			t.Fatalf("no member %q of %v", name, path)
		}
		value = object[name]
	}
	return value
}

// decrypter decrypts with the guest's key.
type decrypter struct{ key *rsa.PrivateKey }

func (d decrypter) Size() int { return d.key.Size() }

func (d decrypter) DecryptOAEP(hash crypto.Hash, ciphertext []byte) ([]byte, error) {
	return rsa.DecryptOAEP(hash.New(), nil, d.key, ciphertext, nil)
}

var _ keywrap.Decrypter = decrypter{}

func TestNewRefuses(t *testing.T) {
	cases := map[string]func(*Config){
		"host":              func(c *Config) { c.Host = "" },
		"resource":          func(c *Config) { c.Resource = "" },
		"access token":      func(c *Config) { c.VerifyAccessToken = nil },
		"reach":             func(c *Config) { c.ReachAuthority = nil },
		"token":             func(c *Config) { c.VerifyToken = nil },
		"key":               func(c *Config) { c.SigningKey = nil },
		"chain":             func(c *Config) { c.Chain = nil },
		"other certificate": func(c *Config) { c.Chain = c.Chain[1:] },
		"other host":        func(c *Config) { c.Host = "other.vault.localhost:1" },
		"recoverable days":  func(c *Config) { c.RecoverableDays = 6 },
		"backup key":        func(c *Config) { c.BackupKey = []byte("short") },
		"EC key":            func(c *Config) { c.SigningKey, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
	}
	for name, edit := range cases {
		c := testConfig(t, KeyVault, &clock{})
		edit(&c)
		if _, err := New(c); err == nil {
			t.Errorf("a configuration with a wrong %s is accepted", name)
		}
	}
}

func TestUnauthenticated(t *testing.T) {
	for flavour, body := range map[Flavour]string{
		KeyVault:   `{"error":{"code":"Unauthorized","message":"AKV10000: Request is missing a Bearer or PoP token."}}`,
		ManagedHSM: "",
	} {
		s := newSession(t, flavour, nil)
		for _, authorization := range []string{"", "Basic x", "Bearer ", "Bearer wrong"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+testHost+"/keys", nil)
			r.Header.Set("Authorization", authorization)
			s.vault.ServeHTTP(w, r)
			challenge := `Bearer authorization="https://login.localhost/tenant", resource="https://vault.localhost"`
			if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != challenge {
				t.Errorf("%v, %q: %d %v", flavour, authorization, w.Code, w.Header())
			}
			if authorization != "Bearer wrong" && w.Body.String() != body {
				t.Errorf("%v: body %s", flavour, w.Body)
			}
		}
	}
}

func TestRoutesRefused(t *testing.T) {
	s := newSession(t, KeyVault, nil)
	cases := []struct {
		method, path string
		status       int
	}{
		{"GET", "/", http.StatusNotFound},
		{"GET", "/secrets?api-version=7.4", http.StatusNotFound},
		{"GET", "/keys/a/b/c/d?api-version=7.4", http.StatusNotFound},
		{"GET", "/keys//b?api-version=7.4", http.StatusNotFound},
		{"POST", "/keys/a/b/rotate?api-version=7.4", http.StatusNotFound},
		{"DELETE", "/keys/a/rotationpolicy?api-version=7.4", http.StatusNotFound},
		{"POST", "/keys/a/b/backup?api-version=7.4", http.StatusNotFound},
		{"POST", "/keys/restore?api-version=7.4", http.StatusBadRequest},
		{"GET", "/keys/restore?api-version=7.4", http.StatusNotFound},
		{"POST", "/keys/a?api-version=7.4", http.StatusNotFound},
		{"PUT", "/keys/a/b?api-version=7.4", http.StatusNotFound},
		{"DELETE", "/keys/a/b?api-version=7.4", http.StatusNotFound},
		{"POST", "/rng?api-version=7.4", http.StatusNotFound},
		{"GET", "/keys/x!@$?api-version=7.4", http.StatusBadRequest},
		{"GET", "/keys/a%2Fb?api-version=7.4", http.StatusBadRequest},
		{"GET", "/keys/a", http.StatusNotFound},
		{"GET", "/keys/a?x=y", http.StatusBadRequest},
		{"GET", "/keys/a?api-version=6.9", http.StatusBadRequest},
		{"POST", "/keys/a/release?api-version=7.2", http.StatusNotFound},
		{"POST", "/keys/a/rotate?api-version=2016-10-01", http.StatusNotFound},
		{"POST", "/keys/a/create?api-version=7.4", http.StatusBadRequest},
	}
	for _, c := range cases {
		if w := s.do(c.method, c.path, nil); w.Code != c.status {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, w.Code, w.Body, c.status)
		}
	}
}

func TestBodyTooLarge(t *testing.T) {
	s := newSession(t, KeyVault, nil)
	body := map[string]any{"kty": "EC", "tags": map[string]string{"x": strings.Repeat("x", maxBody)}}
	s.must(http.StatusRequestEntityTooLarge, "POST", "/keys/big/create", body)
}
