package maa

import (
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"skr/internal/azure/endpoint"
)

// findAny returns a test key for each id.
func findAny(string, string) (*rsa.PublicKey, error) { return &rsaKeys()[0].PublicKey, nil }

func FuzzParseToken(f *testing.F) {
	s := &service{key: rsaKeys()[0], method: jwt.SigningMethodRS256, authority: authorityOf(f, "maa.attest.localhost")}
	for _, claims := range []map[string]any{
		{"iss": s.authority.Issuer(), "exp": now.Unix() + 10, "nonce": "1"},
		{"iss": s.authority.Issuer(), "exp": 1e300},
		{"iss": 1, "exp": -1.5, "nbf": "x"},
	} {
		token, err := s.token(claims)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(token)
	}
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		result, err := parseToken(s.authority, token, func() time.Time { return now }, findAny)
		if err == nil && (result.Token.Reveal() != token || result.Expires.Before(now.Add(-leeway))) {
			t.Errorf("believed %q", token)
		}
	})
}

// FuzzClaims fuzzes the checks that follow the signature.
func FuzzClaims(f *testing.F) {
	s := &service{key: rsaKeys()[0], method: jwt.SigningMethodRS256, authority: authorityOf(f, "maa.attest.localhost")}
	f.Add([]byte(`{"iss":"https://maa.attest.localhost","exp":1e300,"nbf":1e-300,"iat":-1}`))
	f.Add([]byte(`{"iss":"https://maa.attest.localhost","exp":99999999999999999999999,"nonce":{"a":[1]}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		spoilt := service{key: s.key, method: s.method, authority: s.authority, payload: func([]byte) []byte { return payload }}
		token, err := spoilt.token(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseToken(s.authority, token, func() time.Time { return now }, findAny); err == nil && !json.Valid(payload) {
			t.Errorf("believed %q", payload)
		}
	})
}

func FuzzDiscovery(f *testing.F) {
	host, err := endpoint.ParseHost("maa.attest.localhost:8443")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"jwks_uri":"https://maa.attest.localhost:8443/certs"}`))
	f.Add([]byte(`{"jwks_uri":"https://maa.attest.localhost:8443@other/certs"}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		address, err := parseDiscovery(document, host)
		if err == nil && address != host.URL() && !strings.HasPrefix(address, host.URL()+"/") && !strings.HasPrefix(address, host.URL()+"?") {
			t.Errorf("%q gave the address %q", document, address)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	authority := authorityOf(f, "maa.attest.localhost")
	f.Add(200, []byte(`{"token":"a.b.c"}`))
	f.Add(400, []byte(`{"error":{"code":"InvalidParameter","message":"m"}}`))
	f.Add(400, []byte(`{"error":[]}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		token, err := readAnswer(authority, &answer{status, body})
		if err == nil && (status != http.StatusOK || token == "") {
			t.Errorf("status %d gave token %q", status, token)
		}
	})
}
