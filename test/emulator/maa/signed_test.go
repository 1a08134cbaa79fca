package maa_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"skr/attest/vcek"
	"skr/test/emulator/maa"
)

// signer signs policies.
type signer struct {
	key         *rsa.PrivateKey
	certificate *x509.Certificate
}

func newSigner(t *testing.T) signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return signer{key, certificate}
}

func (s signer) chain() []string {
	return []string{base64.StdEncoding.EncodeToString(s.certificate.Raw)}
}

// sign returns a token with the body, as Azure's client for JavaScript makes it.
func (s signer) sign(t *testing.T, body any) string {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.MapClaims
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["x5c"] = s.chain()
	signed, err := token.SignedString(s.key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// TestSignedPolicies checks whose signatures change the policies and the certificates of instances
// with and without policy management certificates.
func TestSignedPolicies(t *testing.T) {
	t.Parallel()
	ours, other, third := newSigner(t), newSigner(t), newSigner(t)
	encode := base64.RawURLEncoding.EncodeToString
	policy := map[string]any{"AttestationPolicy": encode([]byte("version= 1.0;authorizationrules{=> deny();};"))}
	text, err := json.Marshal(policy)
	if err != nil {
		t.Fatal(err)
	}
	unsigned := encode([]byte(`{"alg":"none"}`)) + "." + encode(text) + "."
	head, rest, _ := strings.Cut(ours.sign(t, policy), ".")
	_, signature, _ := strings.Cut(rest, ".")
	tampered := head + "." + encode([]byte(`{"AttestationPolicy":""}`)) + "." + signature
	change := func(by, of signer) string {
		return by.sign(t, map[string]any{"policyCertificate": map[string]any{"kty": "RSA", "x5c": of.chain()}})
	}
	instance := func(certificates ...*x509.Certificate) *maa.Instance {
		return newInstance(t, maa.Config{
			Issuer: "https://isolated.eus.attest.localhost", Roots: []*vcek.Roots{}, PolicyCertificates: certificates,
			Authorize: func(string) error { return nil },
		})
	}
	isolated, open := instance(ours.certificate), instance()
	for _, step := range []struct {
		name         string
		instance     *maa.Instance
		method, path string
		body         string
		status       int
	}{
		{"unsigned, open", open, "PUT", "/policies/TdxVm", unsigned, 200},
		{"signed, open", open, "PUT", "/policies/TdxVm", other.sign(t, policy), 200},
		{"tampered, open", open, "PUT", "/policies/TdxVm", tampered, 400},
		{"a certificate for an open instance", open, "POST", "/certificates:add", change(ours, other), 400},
		{"unsigned", isolated, "PUT", "/policies/TdxVm", unsigned, 400},
		{"signed by another", isolated, "PUT", "/policies/TdxVm", other.sign(t, policy), 400},
		{"reset by another", isolated, "POST", "/policies/TdxVm:reset", other.sign(t, policy), 400},
		{"tampered", isolated, "PUT", "/policies/TdxVm", tampered, 400},
		{"signed", isolated, "PUT", "/policies/TdxVm", ours.sign(t, policy), 200},
		{"another's certificate by itself", isolated, "POST", "/certificates:add", change(other, other), 400},
		{"another's certificate", isolated, "POST", "/certificates:add", change(ours, other), 200},
		{"signed by another, which is now trusted", isolated, "PUT", "/policies/TdxVm", other.sign(t, policy), 200},
		{"removal by a third", isolated, "POST", "/certificates:remove", change(third, other), 400},
		{"removal", isolated, "POST", "/certificates:remove", change(ours, other), 200},
		{"signed by another, which is removed", isolated, "PUT", "/policies/TdxVm", other.sign(t, policy), 400},
	} {
		request := httptest.NewRequest(step.method, step.path+"?api-version=2022-08-01", strings.NewReader(step.body))
		request.Header.Set("Authorization", "Bearer any")
		answer := httptest.NewRecorder()
		step.instance.ServeHTTP(answer, request)
		if answer.Code != step.status {
			t.Errorf("%s: status %d: %s", step.name, answer.Code, answer.Body)
		}
	}
	if answer := manageWithoutToken(isolated); answer.Code != http.StatusUnauthorized {
		t.Errorf("without an access token: status %d", answer.Code)
	}
}

func manageWithoutToken(instance *maa.Instance) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	instance.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/certificates?api-version=2022-08-01", nil))
	return answer
}
