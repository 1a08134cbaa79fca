package vault

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skr/internal/jose/jwk"
	"skr/internal/jose/keywrap"
	"skr/test/rsakey"
	"skr/test/samples"
)

func releaseBody(t testing.TB) map[string]any {
	t.Helper()
	return map[string]any{"target": attestationToken(t, goodClaims(t))}
}

// TestReleaseTypes releases each key type in both flavours and compares the
// private key with the statement's public key.
func TestReleaseTypes(t *testing.T) {
	cases := []struct {
		kty, crv string
		flavours []Flavour
	}{
		{"EC-HSM", "P-256", []Flavour{KeyVault, ManagedHSM}},
		{"EC-HSM", "P-384", []Flavour{KeyVault, ManagedHSM}},
		{"EC-HSM", "P-521", []Flavour{KeyVault, ManagedHSM}},
		{"EC-HSM", "P-256K", []Flavour{KeyVault, ManagedHSM}},
		{"RSA-HSM", "", []Flavour{KeyVault}},
		{"RSA", "", []Flavour{ManagedHSM}},
		{"oct-HSM", "", []Flavour{ManagedHSM}},
	}
	for _, c := range cases {
		for _, flavour := range c.flavours {
			t.Run(flavour.String()+" "+c.kty+c.crv, func(t *testing.T) {
				s := newSession(t, flavour, nil)
				body := exportableEC(goodPolicy)
				body["kty"], body["crv"] = c.kty, c.crv
				s.must(http.StatusOK, "POST", "/keys/k/create", body)
				r := s.release("/keys/k/release", releaseBody(t))
				checkReleased(t, flavour, r)
			})
		}
	}
}

func checkReleased(t *testing.T, flavour Flavour, r released) {
	t.Helper()
	wantKty := map[string]string{"EC": "EC-HSM", "RSA": "RSA-HSM", "oct": "oct-HSM"}[r.key.Type()]
	if flavour == ManagedHSM {
		wantKty = r.key.Type()
	}
	if r.key.Kty != wantKty {
		t.Errorf("kty %s, want %s", r.key.Kty, wantKty)
	}
	if r.key.Type() == "oct" {
		if len(r.plaintext) != 32 {
			t.Errorf("secret of %d bytes", len(r.plaintext))
		}
		return
	}
	public, err := r.key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	switch public := public.(type) {
	case *rsa.PublicKey:
		private, err := x509.ParsePKCS8PrivateKey(r.plaintext)
		if err != nil || !private.(*rsa.PrivateKey).PublicKey.Equal(public) {
			t.Errorf("private key does not belong to the statement: %v", err)
		}
	case *ecdsa.PublicKey:
		checkEC(t, flavour, public, r.plaintext)
	}
}

// checkEC compares the private key with the public one and checks its encoding.
func checkEC(t *testing.T, flavour Flavour, public *ecdsa.PublicKey, der []byte) {
	t.Helper()
	private := scalarIn(t, public.Curve, der)
	if !private.PublicKey.Equal(public) {
		t.Fatal("private key does not belong to the statement")
	}
	again, err := map[Flavour]func(*ecdsa.PrivateKey) ([]byte, error){KeyVault: explicitPKCS8, ManagedHSM: namedPKCS8}[flavour](private)
	if err != nil || !bytes.Equal(again, der) {
		t.Errorf("the PKCS#8 has another form: %v", err)
	}
	if standard, err := x509.ParsePKCS8PrivateKey(der); err == nil && !standard.(*ecdsa.PrivateKey).Equal(private) {
		t.Error("crypto/x509 reads another key")
	} else if named := flavour == ManagedHSM && public.Curve != curveP256K(); named == (err != nil) {
		t.Errorf("crypto/x509, which knows named curves only: %v", err)
	}
}

// scalarIn finds the private key: ECPrivateKey begins with version 1 and the
// octet string of the scalar (RFC 5915 section 3).
func scalarIn(t *testing.T, curve elliptic.Curve, der []byte) *ecdsa.PrivateKey {
	t.Helper()
	width := (curve.Params().BitSize + 7) / 8
	marker := []byte{2, 1, 1, 4, byte(width)}
	i := bytes.LastIndex(der, marker)
	if i < 0 {
		t.Fatal("no ECPrivateKey in the PKCS#8")
	}
	private, err := jwk.ParseScalar(curve, der[i+len(marker):][:width])
	if err != nil {
		t.Fatal(err)
	}
	return private
}

func TestReleasePathsAndAlgorithms(t *testing.T) {
	s := newSession(t, KeyVault, nil)
	created := s.must(http.StatusOK, "POST", "/keys/k/create", exportableEC(goodPolicy))
	kid := at(t, created, "key", "kid").(string)
	_, version, _ := cutLast(kid, "/")
	for path, requested := range map[string]string{
		"/keys/k/release":                 "https://" + testHost + "/keys/k",
		"/keys/k//release":                "https://" + testHost + "/keys/k",
		"/keys/K/release":                 "https://" + testHost + "/keys/k",
		"/keys/k/" + version + "/release": kid,
	} {
		for _, enc := range []string{"", string(keywrap.CKM), string(keywrap.RSA256), string(keywrap.RSA384)} {
			body := releaseBody(t)
			body["enc"] = enc
			r := s.release(path, body)
			want := enc
			if want == "" {
				want = string(keywrap.CKM)
			}
			if r.request["enc"] != want || r.request["kid"] != requested || r.request["api-version"] != "7.4" || r.key.Kid != kid {
				t.Errorf("%s with enc %q: request %v, kid %s", path, enc, r.request, r.key.Kid)
			}
		}
	}
}

func TestReleaseNonce(t *testing.T) {
	for _, withhold := range []bool{false, true} {
		s := newSession(t, KeyVault, func(c *Config) { c.WithholdNonce = withhold })
		s.must(http.StatusOK, "POST", "/keys/k/create", exportableEC(goodPolicy))
		body := releaseBody(t)
		body["nonce"] = "once"
		want := map[bool]any{false: "once", true: nil}[withhold]
		if got := s.release("/keys/k/release", body).request["nonce"]; got != want {
			t.Errorf("withheld %v: nonce %v", withhold, got)
		}
		if _, there := s.release("/keys/k/release", releaseBody(t)).request["nonce"]; there {
			t.Error("a nonce that was not sent is in the statement")
		}
	}
}

// TestReleaseRefusals changes one thing in a valid release.
func TestReleaseRefusals(t *testing.T) {
	const unverified = "Target environment attestation statement cannot be verified."
	claims := func(edit func(map[string]any)) func(*session, map[string]any) {
		return func(s *session, body map[string]any) {
			c := goodClaims(s.t)
			edit(c)
			body["target"] = attestationToken(s.t, c)
		}
	}
	keys := func(k ...jwk.Key) func(map[string]any) {
		return func(c map[string]any) { c["x-ms-runtime"] = map[string]any{"keys": k} }
	}
	patch := func(attributes map[string]any) func(*session, map[string]any) {
		return func(s *session, _ map[string]any) {
			s.must(http.StatusOK, "PATCH", "/keys/k", map[string]any{"attributes": attributes})
		}
	}
	cases := map[string]struct {
		edit         func(*session, map[string]any)
		status       int
		inner, words string
	}{
		"good":             {func(*session, map[string]any) {}, 200, "", ""},
		"no token":         {func(_ *session, b map[string]any) { delete(b, "target") }, 400, "", "target"},
		"enc":              {func(_ *session, b map[string]any) { b["enc"] = "RSA_OAEP" }, 400, "", "enc"},
		"not a token":      {func(_ *session, b map[string]any) { b["target"] = "x" }, 403, "AccessDenied", unverified},
		"forged":           {func(_ *session, b map[string]any) { b["target"] = b["target"].(string) + "x" }, 403, "AccessDenied", unverified},
		"other issuer":     {claims(func(c map[string]any) { c["iss"] = "https://evil.example" }), 403, "AccessDenied", unverified},
		"no issuer":        {claims(func(c map[string]any) { delete(c, "iss") }), 403, "AccessDenied", unverified},
		"claim":            {claims(func(c map[string]any) { c["sdk-test"] = false }), 403, "AccessDenied", "does not meet key release policy"},
		"no claim":         {claims(func(c map[string]any) { delete(c, "sdk-test") }), 403, "AccessDenied", "does not meet key release policy"},
		"no runtime":       {claims(func(c map[string]any) { delete(c, "x-ms-runtime") }), 400, "", "RSA key"},
		"no keys":          {claims(keys()), 400, "", "RSA key"},
		"signing key only": {claims(keys(jwk.Key{Kty: "RSA", N: "AQ", E: "AQAB", KeyOps: []string{"sign"}})), 400, "", "RSA key"},
		"EC key":           {claims(keys(jwk.Key{Kty: "EC", Crv: "P-256", Use: "enc", X: "AQ", Y: "AQ"})), 400, "", "RSA key"},
		"short key":        {claims(keys(jwk.Key{Kty: "RSA", N: "AQ", E: "AQAB", Use: "enc"})), 400, "", "RSA key"},
		"disabled":         {patch(map[string]any{"enabled": false}), 403, "KeyDisabled", "disabled"},
		"expired":          {patch(map[string]any{"exp": epoch.Unix()}), 200, "", ""},
		"not yet valid":    {patch(map[string]any{"nbf": epoch.Unix() + 1}), 200, "", ""},
		"deleted":          {func(s *session, _ map[string]any) { s.must(200, "DELETE", "/keys/k", nil) }, 404, "", "was not found"},
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		c := cases[name]
		t.Run(name, func(t *testing.T) {
			s := newSession(t, KeyVault, nil)
			s.must(http.StatusOK, "POST", "/keys/k/create", exportableEC(goodPolicy))
			body := releaseBody(t)
			c.edit(s, body)
			s.wantFault("POST", "/keys/k/release", body, c.status, c.inner, c.words)
		})
	}
}

// wantFault sends a request, requires the status, and compares the error of a
// refusal.
func (s *session) wantFault(method, path string, body any, status int, inner, words string) {
	s.t.Helper()
	answer := s.must(status, method, path, body)
	if status < 300 {
		return
	}
	fault := at(s.t, answer, "error").(map[string]any)
	gotInner := ""
	if fault["innererror"] != nil {
		gotInner = at(s.t, fault, "innererror", "code").(string)
	}
	if gotInner != inner || !strings.Contains(fault["message"].(string), words) {
		s.t.Errorf("%s %s: %v, want inner %q and %q", method, path, fault, inner, words)
	}
}

func TestReleaseNotExportable(t *testing.T) {
	s := newSession(t, KeyVault, nil)
	s.must(http.StatusOK, "POST", "/keys/k/create", map[string]any{"kty": "EC-HSM"})
	s.wantFault("POST", "/keys/k/release", releaseBody(t), http.StatusForbidden, "KeyNotExportable", "not exportable")
}

// TestExportedForms compares with vectors made by OpenSSL.
func TestExportedForms(t *testing.T) {
	var vectors struct {
		Vectors []struct {
			Kind      string `json:"plaintext_kind"`
			Plaintext string `json:"plaintext_b64url"`
		}
	}
	if err := json.Unmarshal(samples.Read(t, "release-vectors/key_hsm.json"), &vectors); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, vector := range vectors.Vectors {
		der, err := base64.RawURLEncoding.DecodeString(vector.Plaintext)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(vector.Kind, "EC") {
			continue
		}
		curve, encode := elliptic.P256(), namedPKCS8
		if strings.Contains(vector.Kind, "P-256K") {
			curve, _ = curveNamed("P-256K")
		}
		if strings.Contains(vector.Kind, "explicit") {
			encode = explicitPKCS8
		}
		private := scalarIn(t, curve, der)
		got, err := encode(private)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(der, got); diff != "" {
			t.Errorf("%s: %s", vector.Kind, diff)
		}
		compared++
	}
	if compared == 0 {
		t.Error("no EC vectors")
	}
}

// TestReleaseVerifiedIssuer checks that the verified issuer decides.
func TestReleaseVerifiedIssuer(t *testing.T) {
	s := newSession(t, KeyVault, func(c *Config) {
		c.VerifyToken = func(context.Context, string, string) (json.RawMessage, error) {
			return json.RawMessage(`{"iss":"https://evil.example","sdk-test":true}`), nil
		}
	})
	s.must(http.StatusOK, "POST", "/keys/k/create", exportableEC(goodPolicy))
	s.wantFault("POST", "/keys/k/release", releaseBody(t), http.StatusForbidden, "AccessDenied", "does not meet key release policy")
}

// TestReleaseToTPM uses a virtual machine's token, which has further encryption
// keys of the TPM under x-ms-isolation-tee. A vault must not use those.
func TestReleaseToTPM(t *testing.T) {
	other, err := rsakey.Generate(2048)
	if err != nil {
		t.Fatal(err)
	}
	endorsement, err := jwk.FromPublic(other.Public())
	if err != nil {
		t.Fatal(err)
	}
	endorsement.Kid, endorsement.KeyOps = "HCLEkPub", []string{"encrypt"}
	ephemeral, err := jwk.FromPublic(guestKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	ephemeral.Kid, ephemeral.KeyOps = "TpmEphemeralEncryptionKey", []string{"encrypt"}
	const policy = `{"version":"1.0.0","anyOf":[{"authority":"https://maa.localhost/","allOf":[
		{"claim":"x-ms-isolation-tee.x-ms-compliance-status","equals":"azure-compliant-cvm"},{"claim":"secureboot","equals":"true"}]}]}`
	isolation := map[string]any{"x-ms-compliance-status": "azure-compliant-cvm", "x-ms-runtime": map[string]any{"keys": []jwk.Key{endorsement}}}
	token := func(edit func(map[string]any)) map[string]any {
		claims := map[string]any{
			"iss": testAuthority, "secureboot": true, "x-ms-isolation-tee": isolation,
			"x-ms-runtime": map[string]any{"client-payload": map[string]string{"nonce": "AAAA"}, "keys": []jwk.Key{ephemeral}},
		}
		edit(claims)
		return map[string]any{"target": attestationToken(t, claims)}
	}
	s := newSession(t, KeyVault, nil)
	s.must(http.StatusOK, "POST", "/keys/k/create", exportableEC(policy))
	released := s.release("/keys/k/release", token(func(map[string]any) {})) // opened with the guest's key
	checkReleased(t, KeyVault, released)
	for status, edit := range map[int]func(map[string]any){
		http.StatusBadRequest: func(c map[string]any) { delete(c, "x-ms-runtime") },
		http.StatusForbidden:  func(c map[string]any) { c["secureboot"] = false },
	} {
		s.must(status, "POST", "/keys/k/release", token(edit))
	}
}
