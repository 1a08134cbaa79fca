package verify_test

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	_ "golang.org/x/crypto/x509roots/fallback" // the product's roots

	"skr/attest"
	"skr/attest/maa"
	"skr/hsm"
	"skr/internal/azure/endpoint"
	"skr/internal/jose/jwk"
	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
	"skr/releasepolicy"
	"skr/test/emulator/pki"
	"skr/test/rsakey"
	"skr/test/samples"
)

func authority(t *testing.T, host string) attest.Authority {
	t.Helper()
	return must(must(attest.ParseAuthorities(attest.DefaultAuthorities()))(t).Parse(host))(t)
}

func signedToken(t *testing.T, key *rsa.PrivateKey, now time.Time) *maa.Token {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": "https://a.weu.attest.azure.net", "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(8 * time.Hour).Unix(),
		"x-ms-attestation-type": "sevsnpvm", "secret": "withheld",
	})
	token.Header["kid"] = "1"
	return must(maa.ParseUnverified(must(token.SignedString(key))(t)))(t)
}

func keys(t *testing.T, key *rsa.PrivateKey, kid string) func(*maa.Token) error {
	t.Helper()
	public := must(jwk.FromPublic(key.Public()))(t)
	public.Kid = kid
	set := must(maa.ParseKeys(must(json.Marshal(jwk.Set{Keys: []jwk.Key{public}}))(t)))(t)
	return func(token *maa.Token) error { return token.VerifySignature(set) }
}

// Each fault fails the check that concerns it.
func TestOfToken(t *testing.T) {
	key, foreign := must(rsakey.Generate(2048))(t), must(rsakey.Generate(2048))(t)
	now := time.Now()
	token := signedToken(t, key, now)
	own, other := authority(t, "a.weu.attest.azure.net"), authority(t, "b.weu.attest.azure.net")
	policy := func(value string) *releasepolicy.Policy {
		text := `{"version":"1.0.0","anyOf":[{"authority":"https://a.weu.attest.azure.net","allOf":[` +
			`{"claim":"x-ms-attestation-type","equals":"` + value + `"}]}]}`
		return must(releasepolicy.Parse([]byte(text)))(t)
	}
	good := verify.Trust{Authority: own, Signature: keys(t, key, "1")}
	with := func(change func(*verify.Trust)) verify.Trust { c := good; change(&c); return c }
	for _, c := range []struct {
		name  string
		trust verify.Trust
		at    time.Time
		want  []string
	}{
		{"good", good, now, nil},
		{"key without id", with(func(c *verify.Trust) { c.Signature = keys(t, key, "") }), now, nil},
		{"foreign key", with(func(c *verify.Trust) { c.Signature = keys(t, foreign, "1") }), now, []string{"token signature"}},
		{"unknown id", with(func(c *verify.Trust) { c.Signature = keys(t, key, "2") }), now, []string{"token signature"}},
		{"no keys", with(func(c *verify.Trust) { c.Signature = nil }), now, []string{"token signature"}},
		{"other authority", with(func(c *verify.Trust) { c.Authority = other }), now, []string{"issuer"}},
		{"not allowed", with(func(c *verify.Trust) { c.AuthorityErr = errors.New("no") }), now, []string{"issuer"}},
		{"expired", good, now.Add(9 * time.Hour), []string{"times"}},
		{"too early", good, now.Add(-time.Hour), []string{"times"}},
		{"policy met", with(func(c *verify.Trust) { c.Policy = policy("sevsnpvm") }), now, nil},
		{"policy not met", with(func(c *verify.Trust) { c.Policy = policy("tdxvm") }), now, []string{"release policy"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := verify.OfToken(token, c.trust, verify.Question{At: c.at})
			if got := v.Failures(); !slices.Equal(got, c.want) || v.Passed != (c.want == nil) {
				t.Errorf("failed: %q, want %q: %+v", got, c.want, v.Checks)
			}
		})
	}
}

// recorded returns the release statement in recorded traffic.
func recorded(t *testing.T, file string) *hsm.Statement {
	t.Helper()
	var recording struct {
		Entries []struct{ ResponseBody json.RawMessage }
	}
	if err := json.Unmarshal(samples.Read(t, file), &recording); err != nil {
		t.Fatal(err)
	}
	for _, entry := range recording.Entries {
		found, err := inspect.Recognise(entry.ResponseBody)
		if err != nil {
			continue
		}
		if statement, ok := found.Statement(); ok {
			return statement
		}
	}
	t.Fatalf("%s: no release statement was recognised", file)
	return nil
}

// Statements that Key Vault and Managed HSM signed verify at that time and for their own
// hosts only.
func TestSampleStatements(t *testing.T) {
	then := time.Date(2023, 3, 28, 22, 7, 28, 0, time.UTC)
	for file, host := range map[string]string{
		"keyvault/releasekey-kv.json":   "gracewilcox2.vault.azure.net",
		"keyvault/releasekey-mhsm.json": "gracewilcox2hsm.managedhsm.azure.net",
	} {
		statement := recorded(t, file)
		for _, c := range []struct {
			host string
			at   time.Time
			want []string
		}{
			{host, then, nil},
			{host, then.AddDate(10, 0, 0), []string{"statement signature"}},
			{"other.example", then, []string{"vault", "statement signature"}},
		} {
			vault := must(endpoint.ParseHost(c.host))(t)
			if got := verify.OfStatement(statement, vault, nil, verify.Question{At: c.at}).Failures(); !slices.Equal(got, c.want) {
				t.Errorf("%s for %s at %s: failed %q, want %q", file, c.host, c.at, got, c.want)
			}
		}
	}
}

// A statement is verified with the given roots, for example those of a private CA.
func TestOfStatement(t *testing.T) {
	ca := must(pki.New(pki.Config{}))(t)
	signer := must(ca.StatementSigner("v.vault.localhost"))(t)
	var x5c []string
	for _, der := range signer.Chain {
		x5c = append(x5c, base64.StdEncoding.EncodeToString(der))
	}
	wrapped := `{"schema_version":"1.0","header":{"alg":"dir","enc":"RSA_AES_KEY_WRAP_256"},"ciphertext":"AAAA"}`
	kid := "https://v.vault.localhost/keys/k/1"
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"request": map[string]any{"kid": kid, "enc": "RSA_AES_KEY_WRAP_256"},
		"response": map[string]any{"key": map[string]any{"key": map[string]any{"kid": kid, "kty": "oct",
			"key_hsm": base64.RawURLEncoding.EncodeToString([]byte(wrapped))}}},
	})
	token.Header["x5c"] = x5c
	text := must(token.SignedString(signer.Key))(t)
	found := must(inspect.Recognise([]byte(`{"value":"` + text + `"}`)))(t)
	statement, ok := found.Statement()
	if !ok {
		t.Fatalf("recognised as %s", found)
	}
	own, other := must(endpoint.ParseHost("v.vault.localhost"))(t), must(endpoint.ParseHost("w.vault.localhost"))(t)
	if v := verify.OfStatement(statement, own, ca.Pool(), verify.Question{At: time.Now()}); !v.Passed {
		t.Errorf("%+v", v.Checks)
	}
	got := verify.OfStatement(statement, other, ca.Pool(), verify.Question{At: time.Now()}).Failures()
	if !slices.Equal(got, []string{"vault", "statement signature"}) {
		t.Errorf("another vault: failed %q", got)
	}
	if got := verify.OfStatement(statement, own, nil, verify.Question{At: time.Now()}).Failures(); !slices.Equal(got, []string{"statement signature"}) {
		t.Errorf("the system's roots: failed %q", got)
	}
}
