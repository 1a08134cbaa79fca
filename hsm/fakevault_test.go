package hsm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"skr/internal/azure/httpclient"
	"skr/internal/jose/jwk"
	"skr/internal/jose/keywrap"
	"skr/internal/secmem"
	"skr/test/rsakey"
)

// Names of the fake vault and of its key.
const (
	vaultName  = "demo.vault.localhost"
	keyName    = "my-key"
	keyVersion = "0123456789abcdef0123456789abcdef"
)

var (
	notBefore = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock     = notBefore.Add(24 * time.Hour)
	notAfter  = notBefore.Add(48 * time.Hour)
)

var testPair = sync.OnceValue(func() *rsa.PrivateKey {
	private, err := rsakey.Generate(2048)
	if err != nil {
		panic(err)
	}
	return private
})

var testKEK = sync.OnceValue(func() *KEK {
	kek, err := kekFrom(testPair())
	if err != nil {
		panic(err)
	}
	return kek
})

func newRSA(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsakey.Generate(bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newEC(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// ca issues certificates for fake vaults.
type ca struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func newCA(t testing.TB, parent *ca) *ca {
	t.Helper()
	c := &ca{key: newEC(t, elliptic.P256())}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "TEST ONLY " + rand.Text()},
		NotBefore: notBefore, NotAfter: notAfter.AddDate(50, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	issuer, signer := template, c.key
	if parent != nil {
		issuer, signer = parent.certificate, parent.key
	}
	c.certificate = sign(t, template, issuer, c.key.Public(), signer)
	return c
}

func sign(t testing.TB, template, issuer *x509.Certificate, pub crypto.PublicKey, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, pub, signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func (c *ca) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.certificate)
	return pool
}

func (c *ca) issue(t testing.TB, pub crypto.PublicKey, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "vault.localhost"}, DNSNames: []string{"*.vault.localhost"},
		NotBefore: notBefore, NotAfter: notAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	return sign(t, template, c.certificate, pub, c.key)
}

// tree is a JSON tree that tests modify.
type tree = map[string]any

// at returns a nested object.
func at(o tree, path ...string) tree {
	for _, name := range path {
		o = o[name].(tree)
	}
	return o
}

// release is one answer of the fake vault. Tests can alter each part.
type release struct {
	header, payload, keyHSM tree
	key                     tree // inside the payload
	signer                  crypto.Signer
	method                  jwt.SigningMethod
	chain                   []*x509.Certificate
	// spoilText changes the finished statement.
	spoilText func(string) string
}

// statement signs the current parts.
func (r *release) statement(t testing.TB) string {
	t.Helper()
	if r.keyHSM != nil {
		r.key["key_hsm"] = encodeJSON(t, r.keyHSM)
	}
	if _, ok := r.header["x5c"]; !ok && r.chain != nil {
		x5c := []string{}
		for _, certificate := range r.chain {
			x5c = append(x5c, base64.StdEncoding.EncodeToString(certificate.Raw))
		}
		r.header["x5c"] = x5c
	}
	input := encodeJSON(t, r.header) + "." + encodeJSON(t, r.payload)
	signature, err := r.method.Sign(input, r.signer)
	if err != nil {
		t.Fatal(err)
	}
	text := input + "." + base64.RawURLEncoding.EncodeToString(signature)
	if r.spoilText != nil {
		text = r.spoilText(text)
	}
	return text
}

func encodeJSON(t testing.TB, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// vault is a fake vault with real TLS, real signatures, real wrapping and one key.
type vault struct {
	t        testing.TB
	root     *ca
	issuer   *ca
	signer   *rsa.PrivateKey
	leaf     *x509.Certificate
	server   *httptest.Server
	host     string // with port
	kid      string // key id without version
	key      crypto.PrivateKey
	kty      string
	wrapTo   *rsa.PublicKey
	requests []*recorded
	spoil    func(*release)
	answer   http.HandlerFunc // replaces the release
	mu       sync.Mutex
}

// recorded is a request that reached the vault.
type recorded struct {
	path, query, authorization, userAgent string
	body                                  struct{ Target, Enc, Nonce string }
}

// testSigner is the RSA key of every fake vault. Each vault has its own certificates.
var testSigner = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsakey.Generate(2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newVault(t testing.TB) *vault {
	t.Helper()
	root := newCA(t, nil)
	v := &vault{t: t, root: root, issuer: newCA(t, root), signer: testSigner(), wrapTo: &testPair().PublicKey}
	v.leaf = v.issuer.issue(t, v.signer.Public(), nil)
	v.key, v.kty = newEC(t, elliptic.P256()), "EC-HSM"
	v.server = httptest.NewUnstartedServer(http.HandlerFunc(v.serve))
	// TLS is verified at the real time, statements at the test's time.
	tlsLeaf := v.issuer.issue(t, v.signer.Public(), func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	})
	v.server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{
		Certificate: [][]byte{tlsLeaf.Raw, v.issuer.certificate.Raw}, PrivateKey: v.signer,
	}}}
	v.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	v.server.StartTLS()
	t.Cleanup(v.server.Close)
	u, err := url.Parse(v.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		t.Fatal(err)
	}
	v.host = vaultName + ":" + port
	v.kid = "https://" + v.host + "/keys/" + keyName
	return v
}

// client returns a client that trusts the root for TLS and for statements. Statements
// are verified with the test's clock.
func (v *vault) client() *Client {
	transport := httpclient.NewTransport(httpclient.TransportConfig{Roots: v.root.pool()})
	v.t.Cleanup(transport.CloseIdleConnections)
	return NewClient(Config{
		HTTP:  httpclient.New(httpclient.Config{Service: "Key Vault", Transport: transport, Retry: httpclient.Retry{Attempts: 1}}),
		Roots: v.root.pool(),
		Now:   func() time.Time { return clock },
	})
}

// id returns the fake's key as a request names it.
func (v *vault) id(kid string) KeyID {
	v.t.Helper()
	_, port, err := net.SplitHostPort(v.host)
	if err != nil {
		v.t.Fatal(err)
	}
	vaults, err := ParseVaults([]string{"*.vault.localhost:" + port})
	if err != nil {
		v.t.Fatal(err)
	}
	id, err := vaults.Parse(v.host, kid)
	if err != nil {
		v.t.Fatal(err)
	}
	return id
}

var grant = Grant{Attestation: secmem.NewText("header.attestation-token.signature"), Access: secmem.NewText("access-token-of-the-guest")}

func (v *vault) release(kid string) (*WrappedKey, error) {
	v.t.Helper()
	return v.client().Release(v.t.Context(), v.id(kid), grant)
}

func (v *vault) serve(w http.ResponseWriter, r *http.Request) {
	request := &recorded{path: r.URL.Path, query: r.URL.RawQuery, authorization: r.Header.Get("Authorization"), userAgent: r.Header.Get("User-Agent")}
	body, err := io.ReadAll(r.Body)
	if err == nil && r.Method == http.MethodPost {
		err = json.Unmarshal(body, &request.body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.requests = append(v.requests, request)
	if v.answer != nil {
		v.answer(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(tree{"value": v.answerTo(request).statement(v.t)})
}

// answerTo makes the answer of a correct vault and lets the test change it.
func (v *vault) answerTo(request *recorded) *release {
	kid := "https://" + v.host + request.path[:len(request.path)-len("/release")]
	key := v.describe()
	key["kid"] = v.kid + "/" + keyVersion
	key["kty"] = v.kty
	key["key_ops"] = []string{"sign", "verify"}
	r := &release{
		header: tree{"alg": "RS256", "kid": "opaque", "typ": "JWT"},
		payload: tree{
			"request": tree{"api-version": "7.4", "enc": request.body.Enc, "kid": kid, "nonce": request.body.Nonce},
			"response": tree{"key": tree{
				"key":            key,
				"attributes":     tree{"enabled": true, "exportable": true},
				"release_policy": tree{"data": "e30", "immutable": true},
			}},
		},
		key: key,
		keyHSM: tree{
			"schema_version": "1.0",
			"header":         tree{"kid": "opaque", "alg": "dir", "enc": request.body.Enc},
			"ciphertext":     base64.RawURLEncoding.EncodeToString(v.wrap(keywrap.Algorithm(request.body.Enc))),
		},
		signer: v.signer,
		method: jwt.SigningMethodRS256,
		chain:  []*x509.Certificate{v.leaf, v.issuer.certificate, v.root.certificate},
	}
	if v.spoil != nil {
		v.spoil(r)
	}
	return r
}

func (v *vault) describe() tree {
	if _, symmetric := v.key.([]byte); symmetric {
		return tree{}
	}
	key, err := jwk.FromPublic(v.key.(crypto.Signer).Public())
	if err != nil {
		v.t.Fatal(err)
	}
	text, err := json.Marshal(key)
	if err != nil {
		v.t.Fatal(err)
	}
	var o tree
	if err := json.Unmarshal(text, &o); err != nil {
		v.t.Fatal(err)
	}
	return o
}

func (v *vault) wrap(a keywrap.Algorithm) []byte {
	plaintext, symmetric := v.key.([]byte)
	if !symmetric {
		var err error
		if plaintext, err = marshalPKCS8(v.key); err != nil {
			v.t.Fatal(err)
		}
	}
	wrapped, err := keywrap.Wrap(rand.Reader, v.wrapTo, a, plaintext)
	if err != nil {
		v.t.Fatal(err)
	}
	return wrapped
}
