package hsm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/google/go-cmp/cmp"

	"skr/internal/azure/httpclient"
	"skr/internal/jose/jwk"
	"skr/internal/refusal"
	"skr/internal/secmem"
)

// TestReleaseIsOneRequest checks that a release sends exactly one request.
func TestReleaseIsOneRequest(t *testing.T) {
	for _, c := range []struct{ kid, path string }{
		{keyName, "/keys/my-key/release"}, // not /keys/my-key//release
		{keyName + "/" + keyVersion, "/keys/my-key/" + keyVersion + "/release"},
	} {
		v := newVault(t)
		client, id := v.client(), v.id(c.kid)
		for range 3 {
			if _, err := client.Release(t.Context(), id, grant); err != nil {
				t.Fatal(err)
			}
		}
		if len(v.requests) != 3 {
			t.Fatalf("3 releases sent %d requests", len(v.requests))
		}
		nonces := map[string]bool{}
		for _, r := range v.requests {
			if r.path != c.path || r.query != "api-version=7.4" || r.authorization != "Bearer access-token-of-the-guest" ||
				r.userAgent != "skr" || r.body.Target != "header.attestation-token.signature" || r.body.Enc != "RSA_AES_KEY_WRAP_256" {
				t.Errorf("the vault got %+v", r)
			}
			nonces[r.body.Nonce] = len(r.body.Nonce) >= 26 // base32 of 128 bits
		}
		if len(nonces) != 3 || nonces[""] {
			t.Errorf("nonces %v", nonces)
		}
	}
}

func TestAPIVersion(t *testing.T) {
	v := newVault(t)
	client := v.client()
	client.apiVersion = "7.6"
	if _, err := client.Release(t.Context(), v.id(keyName), grant); err != nil {
		t.Fatal(err)
	}
	if v.requests[0].query != "api-version=7.6" {
		t.Errorf("query %q", v.requests[0].query)
	}
}

// TestTokensStayApart checks that callers who share a client each use their own access
// token.
func TestTokensStayApart(t *testing.T) {
	v := newVault(t)
	client, id := v.client(), v.id(keyName)
	for round := range 2 { // in the first round the SDK does not know the audience
		var callers sync.WaitGroup
		for i := range 16 {
			callers.Go(func() {
				name := fmt.Sprintf("%d-%d", round, i)
				g := Grant{Attestation: secmem.NewText("attestation-" + name), Access: secmem.NewText("access-" + name)}
				if _, err := client.Release(t.Context(), id, g); err != nil {
					t.Error(err)
				}
			})
		}
		callers.Wait()
	}
	seen := map[string]bool{}
	for _, r := range v.requests {
		if strings.Replace(r.authorization, "Bearer access", "attestation", 1) != r.body.Target {
			t.Errorf("%q came with %q", r.authorization, r.body.Target)
		}
		seen[r.authorization] = true
	}
	if len(seen) != 32 {
		t.Errorf("%d of 32 tokens reached the vault", len(seen))
	}
}

func TestReleaseAndUnwrap(t *testing.T) {
	koblitz, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		kty string
		key crypto.PrivateKey
	}{
		"RSA-2048":       {"RSA-HSM", newRSA(t, 2048)},
		"RSA-3072":       {"RSA", newRSA(t, 3072)},
		"P-256":          {"EC-HSM", newEC(t, elliptic.P256())},
		"P-384":          {"EC", newEC(t, elliptic.P384())},
		"P-521":          {"EC-HSM", newEC(t, elliptic.P521())},
		"P-256K":         {"EC-HSM", koblitz.ToECDSA()},
		"oct of 16":      {"oct-HSM", []byte("0123456789abcdef")},
		"oct of 32":      {"oct", bytes.Repeat([]byte{7}, 32)},
		"oct of 64":      {"oct-HSM", bytes.Repeat([]byte{8}, 64)},
		"oct as PKCS #8": {"oct-HSM", bytes.Repeat([]byte{0x30}, 64)},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t)
			v.key, v.kty = c.key, c.kty
			wrapped, err := v.release(keyName)
			if err != nil {
				t.Fatal(err)
			}
			key, err := wrapped.Unwrap(testKEK().Decrypter(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			if want := v.kid + "/" + keyVersion; key.ID() != want || wrapped.ID() != want {
				t.Errorf("id %q and %q, want %q", key.ID(), wrapped.ID(), want)
			}
			checkJWK(t, key, c.key)
			checkPEM(t, key, c.key)
			checkWipe(t, key)
		})
	}
}

func checkJWK(t *testing.T, key *Key, want crypto.PrivateKey) {
	t.Helper()
	text, err := key.JWK()
	if err != nil {
		t.Fatal(err)
	}
	got, err := jwk.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if got.Kid != "" || !cmp.Equal(got.KeyOps, []string{"sign", "verify"}) || got.Kty != got.Type() {
		t.Errorf("JWK %v with key_ops %q", got, got.KeyOps)
	}
	checkMembers(t, text)
	raw, rawErr := key.Raw()
	if secret, symmetric := want.([]byte); symmetric {
		if rawErr != nil || !bytes.Equal(raw, secret) {
			t.Errorf("the raw form of a symmetric key: %v", rawErr)
		}
		if got.Kty != "oct" || got.K != base64.RawURLEncoding.EncodeToString(secret) {
			t.Error("the symmetric key changed")
		}
		return
	}
	if rawErr == nil {
		t.Error("a private key has a raw form")
	}
	private, err := got.PrivateKey()
	if err != nil || !want.(interface{ Equal(crypto.PrivateKey) bool }).Equal(private) {
		t.Errorf("the JWK holds another key: %v", err)
	}
	if got.Kty == "RSA" && (got.DP == "" || got.DQ == "" || got.QI == "") {
		t.Error("the JWK lacks dp, dq or qi")
	}
}

// checkMembers checks that the JWK has the members of the reference sidecar's JWK (jwx's
// FromRaw and key_ops), under the names that JOSE libraries expect.
func checkMembers(t *testing.T, text []byte) {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	want := map[any][]string{
		"RSA": {"d", "dp", "dq", "e", "key_ops", "kty", "n", "p", "q", "qi"}, "EC": {"crv", "d", "key_ops", "kty", "x", "y"}, "oct": {"k", "key_ops", "kty"},
	}[members["kty"]]
	if got := slices.Sorted(maps.Keys(members)); !slices.Equal(got, want) {
		t.Errorf("the JWK has the members %q, want %q", got, want)
	}
	if crv, isEC := members["crv"]; isEC && !slices.Contains([]any{"P-256", "P-384", "P-521", "secp256k1"}, crv) {
		t.Errorf("the curve is named %q", crv)
	}
}

func checkPEM(t *testing.T, key *Key, want crypto.PrivateKey) {
	t.Helper()
	text, err := key.PEM()
	if _, symmetric := want.([]byte); symmetric {
		if err == nil {
			t.Error("a symmetric key has a PEM form")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		t.Fatal("the PEM form is not one private key")
	}
	private, err := parsePKCS8(block.Bytes)
	if err != nil || !want.(interface{ Equal(crypto.PrivateKey) bool }).Equal(private) {
		t.Errorf("the PEM form holds another key: %v", err)
	}
	if ec, isEC := want.(*ecdsa.PrivateKey); isEC && ec.Curve == jwk.P256K() {
		return
	}
	standard, err := x509.MarshalPKCS8PrivateKey(want)
	if err != nil || !bytes.Equal(standard, block.Bytes) {
		t.Errorf("crypto/x509 writes another form: %v", err)
	}
}

func checkWipe(t *testing.T, key *Key) {
	t.Helper()
	clone := key.Clone()
	before, err := key.JWK()
	if err != nil {
		t.Fatal(err)
	}
	key.Wipe()
	key.Wipe()
	if _, err := key.JWK(); !errors.Is(err, secmem.ErrWiped) {
		t.Errorf("a wiped key has a JWK: %v", err)
	}
	if _, err := key.PEM(); !errors.Is(err, secmem.ErrWiped) {
		t.Errorf("a wiped key has a PEM form: %v", err)
	}
	if text, err := clone.JWK(); err != nil || !bytes.Equal(text, before) {
		t.Errorf("the clone was wiped too: %v", err)
	}
	if _, err := key.Clone().JWK(); !errors.Is(err, secmem.ErrWiped) || clone.ID() != key.ID() || clone.PolicyHash() != key.PolicyHash() {
		t.Error("the clone has a different state")
	}
}

func TestVaultRefusals(t *testing.T) {
	body := func(code, inner, message string) string {
		text, err := json.Marshal(tree{"error": tree{"code": code, "message": message, "innererror": tree{"code": inner}}})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, c := range map[string]struct {
		status int
		body   string
		kind   *refusal.Kind
		reason string
	}{
		"policy": {403, body("Forbidden", "AccessDenied", "Target environment attestation does not meet key release policy requirements"),
			refusal.ReleaseRejected, "key's release policy"},
		"token": {403, body("Forbidden", "AccessDenied", "Target environment attestation statement cannot be verified. (Activity ID: 1)"),
			refusal.ReleaseRejected, "cannot verify the attestation token"},
		"role": {403, body("Forbidden", "ForbiddenByRbac", "Caller is not authorized to perform action on resource.\r\nCaller: appid=1"),
			refusal.ReleaseRejected, "Crypto Service Release User"},
		"role, no code": {403, body("Forbidden", "", "User is NOT authorized to perform action"), refusal.ReleaseRejected, "Crypto Service Release User"},
		"access policy": {403, body("Forbidden", "AccessDenied",
			"The user, group or application 'appid=1' does not have keys release permission on key vault 'v;location=r'."),
			refusal.ReleaseRejected, "access policy"},
		"standard vault": {403, body("Forbidden", "", "Hardware key operation not allowed on standard vault"), refusal.ReleaseRejected, "premium vault"},
		"firewall": {403, body("Forbidden", "ForbiddenByFirewall", "Client address is not authorized and caller is not a trusted service."),
			refusal.ReleaseRejected, "firewall"},
		"private":            {403, body("Forbidden", "ForbiddenByConnection", "x"), refusal.ReleaseRejected, "private endpoint"},
		"disabled":           {403, body("Forbidden", "KeyDisabled", "x"), refusal.ReleaseRejected, "enable it"},
		"expired":            {403, body("Forbidden", "", "Operation release is not allowed on an expired key."), refusal.ReleaseRejected, "extend it"},
		"something else":     {403, body("Forbidden", "New", "words"), refusal.ReleaseRejected, "in the log"},
		"unauthenticated":    {401, body("Unauthorized", "", "AKV10022: Invalid audience."), refusal.ReleaseRejected, "audience https://vault.localhost"},
		"invalid":            {400, body("BadParameter", "", "x"), refusal.ReleaseRejected, "exportable"},
		"conflict":           {409, body("Conflict", "", "x"), refusal.ReleaseRejected, "invalid"},
		"no key":             {404, body("KeyNotFound", "", "A key with (name/id) x was not found"), refusal.KeyNotFound, "my-key"},
		"not JSON":           {403, "<html>", refusal.ReleaseRejected, "in the log"},
		"error is a string":  {403, `{"error":"no"}`, refusal.ReleaseRejected, "in the log"},
		"empty":              {403, "", refusal.ReleaseRejected, "in the log"},
		"throttled":          {429, "", refusal.Throttled, ""},
		"failing":            {503, "", refusal.Unavailable, ""},
		"redirect":           {302, "", refusal.Untrusted, ""},
		"no content":         {204, "", refusal.Untrusted, "status"},
		"no value":           {200, `{}`, refusal.Untrusted, "without a release statement"},
		"nothing":            {200, ``, refusal.Untrusted, "without a release statement"},
		"value null":         {200, `{"value":null}`, refusal.Untrusted, "without a release statement"},
		"value is a number":  {200, `{"value":1}`, refusal.Untrusted, "not a release result"},
		"answer is not JSON": {200, `{`, refusal.Untrusted, "not a release result"},
		"answer is an array": {200, `[]`, refusal.Untrusted, "not a release result"},
		"value is not a JWS": {200, `{"value":"a.b"}`, refusal.Untrusted, "malformed"},
		"answer is too long": {200, strings.Repeat(" ", 2<<20), refusal.Untrusted, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t)
			v.answer = func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}
			_, err := v.release(keyName)
			checkRefusal(t, err, c.kind, c.reason)
			if len(v.requests) != 1 {
				t.Errorf("%d requests", len(v.requests))
			}
		})
	}
}

func checkRefusal(t *testing.T, err error, kind *refusal.Kind, reason string) {
	t.Helper()
	refused, ok := errors.AsType[*refusal.Error](err)
	if !ok || refused.Kind != kind || !strings.Contains(refused.Public(), reason) {
		t.Errorf("got %v, want %v because %q", err, kind, reason)
		return
	}
	for _, secret := range []string{grant.Access.Reveal(), grant.Attestation.Reveal()} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("a token is in %q", err)
		}
	}
}

// TestVaultTextIsBounded checks that the log quotes and shortens a server's text and
// omits access tokens. The caller gets none of the text.
func TestVaultTextIsBounded(t *testing.T) {
	v := newVault(t)
	v.answer = func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(tree{"error": tree{
			"code": "a\nb", "message": "fake log line\n" + r.Header.Get("Authorization") + strings.Repeat("é", 1000),
		}})
	}
	_, err := v.release(keyName)
	checkRefusal(t, err, refusal.ReleaseRejected, "in the log")
	if text := err.Error(); strings.Contains(text, "\n") || len(text) > 600 || !strings.Contains(text, "[redacted]") || !strings.Contains(text, "fake log line") {
		t.Errorf("logged as %q", text)
	}
	if refused, _ := errors.AsType[*refusal.Error](err); strings.Contains(refused.Public(), "fake") {
		t.Errorf("the public error is %q", refused.Public())
	}
}

// TestChallengesOfServers checks that a server's challenge causes no panic, no request for
// another token and no repeated request.
func TestChallengesOfServers(t *testing.T) {
	for _, challenge := range []string{
		`Bearer authorization="x", resource="https://vault.localhost"`, // the SDK's parser panics on this
		`Bearer authorization="https://login.evil.example/t", resource="https://evil.example"`,
		`Bearer error="insufficient_claims", claims="e30="`, `Bearer error="insufficient_claims", claims="%%%"`,
		`Bearer`, `Basic realm="x"`, ``, strings.Repeat(`Bearer a="b", `, 1000),
	} {
		v := newVault(t)
		v.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Add("WWW-Authenticate", challenge)
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, err := v.release(keyName)
		checkRefusal(t, err, refusal.ReleaseRejected, "does not accept the access token")
		if len(v.requests) != 1 {
			t.Errorf("%.40q caused %d requests", challenge, len(v.requests))
		}
	}
}

func TestReleaseNeedsTokenAndKey(t *testing.T) {
	v := newVault(t)
	if _, err := v.client().Release(t.Context(), v.id(keyName), Grant{Attestation: grant.Attestation}); !errors.Is(err, refusal.ReleaseRejected) {
		t.Errorf("without an access token: %v", err)
	}
	if _, err := v.client().Release(t.Context(), KeyID{}, grant); !errors.Is(err, refusal.ReleaseRejected) {
		t.Errorf("without a key: %v", err)
	}
	if len(v.requests) != 0 {
		t.Errorf("%d requests", len(v.requests))
	}
}

func TestReleaseCancelled(t *testing.T) {
	v := newVault(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.client().Release(ctx, v.id(keyName), grant); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestUnknownCA(t *testing.T) {
	v := newVault(t)
	client := v.client()
	client.transport = httpclient.New(httpclient.Config{Transport: httpclient.NewTransport(httpclient.TransportConfig{Roots: newCA(t, nil).pool()})}).Transporter()
	_, err := client.Release(t.Context(), v.id(keyName), grant)
	checkRefusal(t, err, refusal.Untrusted, "")
	if len(v.requests) != 0 {
		t.Error("a vault with an unknown certificate got a request")
	}
}

// TestSDKVerifiesTheAudience checks that the SDK compares audience and host. This
// protects against an allow-list that contains a foreign audience.
func TestSDKVerifiesTheAudience(t *testing.T) {
	v := newVault(t)
	id := v.id(keyName)
	id.audience = "https://vault.azure.net"
	_, err := v.client().Release(t.Context(), id, grant)
	if err == nil || len(v.requests) != 0 {
		t.Errorf("got %v after %d requests", err, len(v.requests))
	}
}
