package entra_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // a certificate's identifier, RFC 7515 section 4.1.7
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"skr/test/emulator/entra"
)

// TestCertificate checks the assertions that an application signs itself.
func TestCertificate(t *testing.T) {
	t.Parallel()
	key, certificate := applicationCertificate(t)
	n := newTenant(t)
	directory, err := entra.New(entra.Config{
		Resources: []string{resource}, Now: func() time.Time { return n.now },
		Certificate: func() (*x509.Certificate, error) { return certificate, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	n.Directory = directory
	short, long := sha1.Sum(certificate.Raw), sha256.Sum256(certificate.Raw)
	plain, inURLs := base64.StdEncoding.EncodeToString, base64.RawURLEncoding.EncodeToString
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := "https://example.com/" + n.Tenant() + "/oauth2/v2.0/token"
	for _, c := range []struct {
		name   string
		method jwt.SigningMethod
		header map[string]any
		claims jwt.MapClaims // over those that are right
		key    *rsa.PrivateKey
		code   string // "" if a token is issued
	}{
		{"x5t", jwt.SigningMethodRS256, map[string]any{"x5t": inURLs(short[:])}, nil, key, ""},
		{"x5t with padding", jwt.SigningMethodRS256, map[string]any{"x5t": base64.URLEncoding.EncodeToString(short[:])}, nil, key, ""},
		{"x5t#S256", jwt.SigningMethodPS256, map[string]any{"x5t#S256": inURLs(long[:])}, nil, key, ""},
		{"x5t#S256 in base64", jwt.SigningMethodPS256, map[string]any{"x5t#S256": plain(long[:])}, nil, key, ""},
		{"no hash", jwt.SigningMethodPS256, nil, nil, key, "AADSTS700027"},
		{"another key", jwt.SigningMethodPS256, map[string]any{"x5t#S256": inURLs(long[:])}, nil, foreign, "AADSTS700027"},
		{"another endpoint", jwt.SigningMethodPS256, map[string]any{"x5t#S256": inURLs(long[:])}, jwt.MapClaims{"aud": "https://example.com/"},
			key, "AADSTS700212"},
		{"another subject", jwt.SigningMethodPS256, map[string]any{"x5t#S256": inURLs(long[:])}, jwt.MapClaims{"sub": "me"}, key, "AADSTS700213"},
		{"expired", jwt.SigningMethodPS256, map[string]any{"x5t#S256": inURLs(long[:])}, jwt.MapClaims{"exp": n.now.Add(-time.Hour).Unix()},
			key, "AADSTS700024"},
	} {
		claims := jwt.MapClaims{
			"iss": n.Workload().AppID, "sub": n.Workload().AppID, "aud": endpoint, "exp": n.now.Add(time.Minute).Unix(),
		}
		for name, value := range c.claims {
			claims[name] = value
		}
		token := jwt.NewWithClaims(c.method, claims)
		for name, value := range c.header {
			token.Header[name] = value
		}
		assertion, err := token.SignedString(c.key)
		if err != nil {
			t.Fatal(err)
		}
		form := n.form(t)
		form.Set("client_assertion", assertion)
		status, body := n.post(form)
		told, _ := body["error_description"].(string)
		if (status == http.StatusOK) != (c.code == "") || !strings.HasPrefix(told, c.code) {
			t.Errorf("%s: %d %s, want %q", c.name, status, told, c.code)
		}
	}
}

// applicationCertificate returns a certificate whose hash differs in base64 and base64url.
func applicationCertificate(t *testing.T) (*rsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for number := int64(1); ; number++ {
		template := &x509.Certificate{SerialNumber: big.NewInt(number)}
		raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.Sum256(raw)
		if !strings.ContainsAny(base64.StdEncoding.EncodeToString(hash[:]), "+/") {
			continue
		}
		certificate, err := x509.ParseCertificate(raw)
		if err != nil {
			t.Fatal(err)
		}
		return key, certificate
	}
}
