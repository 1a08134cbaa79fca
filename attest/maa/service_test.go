package maa

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
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"skr/attest"
	"skr/attest/snp"
	"skr/attest/uvm"
	"skr/attest/vcek"
	"skr/internal/azure/httpclient"
	"skr/internal/jose/jwk"
	"skr/test/rsakey"
	"skr/test/snptest"
	"skr/test/uvmtest"
)

// now is the time of the tests.
var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const (
	runtimeData = `{ "keys":[{"kty":"RSA","kid":"kek","n":"AQAB","e":"AQAB","key_ops":["encrypt"]}], "svn":9007199254740993 }`
	keyName     = "rFl9xM+g7TvX63y0iseZtIn20MD5SYAnGblKFasau8I="
)

var rsaKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	keys := make([]*rsa.PrivateKey, 2)
	for i := range keys {
		keys[i], _ = rsakey.Generate(2048)
	}
	return keys
})

// service is an attestation instance. Tests can alter each of its parts.
type service struct {
	authority attest.Authority
	client    *Client
	requests  atomic.Int64
	received  request
	header    http.Header
	query     url.Values

	key        crypto.PrivateKey
	method     jwt.SigningMethod
	spoilHead  func(head map[string]any)
	spoil      func(claims map[string]any)
	payload    func(payload []byte) []byte // replaces the encoded claims
	respell    func(token string) string   // replaces the signed token
	keys       []jwk.Key
	discovery  func() any
	intercepts map[string]http.HandlerFunc // answers by path
}

// newService starts an instance that answers correctly.
func newService(t *testing.T) *service {
	t.Helper()
	s := &service{
		key: rsaKeys()[0], method: jwt.SigningMethodRS256,
		keys:       []jwk.Key{{Kid: "unrelated", Kty: "OKP"}, certified(t, keyName, rsaKeys()[0])},
		intercepts: map[string]http.HandlerFunc{},
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	certificate, pool := serverCertificate(t)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.Config.ErrorLog = nil
	server.StartTLS()
	t.Cleanup(server.Close)
	_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
	s.authority = authorityOf(t, "maa.attest.localhost:"+port)
	s.discovery = func() any {
		return map[string]any{"issuer": s.authority.Issuer(), "jwks_uri": s.authority.Issuer() + "/certs", "claims_supported": []string{"is-debuggable"}}
	}
	s.client = New(Config{
		HTTP: httpclient.New(httpclient.Config{
			Service:   "MAA",
			Transport: httpclient.NewTransport(httpclient.TransportConfig{Roots: pool}),
			Retry:     httpclient.Retry{Attempts: 1},
		}).Transporter(),
		UserAgent: "test/1.0",
		Now:       func() time.Time { return now },
	})
	return s
}

func authorityOf(t testing.TB, host string) attest.Authority {
	t.Helper()
	list, err := attest.ParseAuthorities([]string{host})
	if err != nil {
		t.Fatal(err)
	}
	authority, err := list.Parse(host)
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func (s *service) serve(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	if intercept, found := s.intercepts[r.URL.Path]; found {
		intercept(w, r)
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "POST /attest/SevSnpVm":
		s.attest(w, r)
	case "GET /.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(s.discovery())
	case "GET /certs":
		_ = json.NewEncoder(w).Encode(jwk.Set{Keys: s.keys})
	default:
		http.NotFound(w, r)
	}
}

func (s *service) attest(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &s.received)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.header, s.query = r.Header, r.URL.Query()
	token, err := s.token(s.claims())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if s.respell != nil {
		token = s.respell(token)
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"token": token})
}

func (s *service) claims() map[string]any {
	inner := evidence{}
	_ = json.Unmarshal(decoded(s.received.Report), &inner)
	var runtime any
	decoder := json.NewDecoder(strings.NewReader(string(decoded(s.received.RuntimeData.Data))))
	decoder.UseNumber()
	_ = decoder.Decode(&runtime)
	claims := map[string]any{
		"iss": s.authority.Issuer(), "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Unix() + 28800,
		"nonce":                    jsonText(s.received.Nonce),
		"x-ms-attestation-type":    "sevsnpvm",
		"x-ms-runtime":             runtime,
		"x-ms-sevsnpvm-reportdata": hex.EncodeToString(decoded(inner.SnpReport)[0x50:0x90]),
	}
	if s.spoil != nil {
		s.spoil(claims)
	}
	return claims
}

func (s *service) token(claims map[string]any) (string, error) {
	head := map[string]any{"alg": s.method.Alg(), "jku": s.authority.Issuer() + "/certs", "kid": keyName, "typ": "JWT"}
	if s.spoilHead != nil {
		s.spoilHead(head)
	}
	first, err := json.Marshal(head)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	if s.payload != nil {
		payload = s.payload(payload)
	}
	signed := base64.RawURLEncoding.EncodeToString(first) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := s.method.Sign(signed, s.key)
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), err
}

func jsonText(value any) string {
	text, _ := json.Marshal(value)
	return string(text)
}

func decoded(text string) []byte {
	data, _ := base64.URLEncoding.DecodeString(text)
	return data
}

// certified returns a key as instances publish it: only x5c. Its certificate carries
// 20 KB of embedded evidence.
func certified(t testing.TB, id string, key crypto.Signer) jwk.Key {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "https://maa.attest.localhost"},
		NotBefore: now, NotAfter: now.AddDate(1, 0, 0), BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
		ExtraExtensions: []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 311, 105, 1000, 1}, Value: make([]byte, 20<<10)}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return jwk.Key{Kid: id, Kty: "RSA", Alg: "RS256", Use: "sig", X5c: []string{base64.StdEncoding.EncodeToString(der)}}
}

func plain(t testing.TB, id string, key *rsa.PublicKey) jwk.Key {
	t.Helper()
	public, err := jwk.FromPublic(key)
	if err != nil {
		t.Fatal(err)
	}
	public.Kid, public.Use = id, "sig"
	return public
}

func serverCertificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "TEST ONLY"}, DNSNames: []string{"maa.attest.localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// machine is emulated hardware with its utility VM's endorsement.
type machine struct {
	chip        *snptest.Chip
	endorsement *uvm.Endorsement
}

var theMachine = sync.OnceValues(func() (machine, error) {
	vendor, vendorErr := snptest.NewVendor(snp.Milan, now)
	signer, signerErr := uvmtest.NewEndorser()
	if err := errors.Join(vendorErr, signerErr); err != nil {
		return machine{}, err
	}
	chip, chipErr := vendor.NewChip()
	raw, rawErr := signer.Endorse(snp.Measurement{}, 1, "TEST-UVM")
	if err := errors.Join(chipErr, rawErr); err != nil {
		return machine{}, err
	}
	endorsement, err := uvm.ParseEndorsement(raw)
	return machine{chip, endorsement}, err
})

// newEvidence returns complete evidence of emulated hardware.
func newEvidence(t testing.TB, runtime string) *attest.Evidence {
	t.Helper()
	m, err := theMachine()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := m.chip.Report(snp.Bind([]byte(runtime)), snptest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	report, err := snp.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := m.chip.ChainPEM(m.chip.TCB())
	if err != nil {
		t.Fatal(err)
	}
	chain, err := vcek.ParsePEM(pem)
	if err != nil {
		t.Fatal(err)
	}
	return &attest.Evidence{Report: report, Chain: chain, RuntimeData: []byte(runtime), Endorsement: m.endorsement}
}
