package api_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"skr/api"
	"skr/internal/jose/jwk"
	"skr/test/rsakey"
)

var (
	base64URL      = base64.RawURLEncoding
	exampleContext = context.Background()
)

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsakey.Generate(2048)
	if err != nil {
		panic(err)
	}
	return key
})

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// jwkOf returns the key as the sidecar writes it, with the given members changed. A nil
// value removes the member.
func jwkOf(t testing.TB, private crypto.PrivateKey, changes map[string]any) api.Key {
	t.Helper()
	key, err := jwk.FromPrivate(private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]any{}
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	for name, value := range changes {
		members[name] = value
		if value == nil {
			delete(members, name)
		}
	}
	if text, err = json.Marshal(members); err != nil {
		t.Fatal(err)
	}
	return api.Key{JWK: text}
}

// Released keys convert to Go keys, whether or not their type carries the vault's
// mark for hardware keys.
func TestGoKeys(t *testing.T) {
	for _, mark := range []string{"", "-HSM"} {
		for _, private := range []crypto.Signer{
			rsaKey(), ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384()), ecKey(t, elliptic.P521()),
		} {
			kind := "EC"
			if private == crypto.Signer(rsaKey()) {
				kind = "RSA"
			}
			signer, err := jwkOf(t, private, map[string]any{"kty": kind + mark}).Signer()
			if err != nil {
				t.Fatal(err)
			}
			if !signer.(interface{ Equal(crypto.PrivateKey) bool }).Equal(private) {
				t.Errorf("%s%s: got a different key", kind, mark)
			}
			digest := sha256.Sum256([]byte("x"))
			if _, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
				t.Errorf("%s%s: signing: %v", kind, mark, err)
			}
		}
		secret, err := api.Key{JWK: api.Secret(`{"kty":"oct` + mark + `","k":"AAEC","key_ops":["encrypt"],"new":{"a":[1]}}`)}.Bytes()
		if err != nil || !bytes.Equal(secret, []byte{0, 1, 2}) {
			t.Errorf("oct%s: %x, error %v", mark, secret, err)
		}
	}
	decrypter, err := jwkOf(t, rsaKey(), nil).Decrypter()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &rsaKey().PublicKey, []byte("secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := decrypter.Decrypt(nil, sealed, &rsa.OAEPOptions{Hash: crypto.SHA256})
	if err != nil || string(plain) != "secret" {
		t.Errorf("decrypted %q, error %v", plain, err)
	}
}

// A vault may add a leading zero to a number or omit the one that fills the width.
func TestLeadingZeros(t *testing.T) {
	private := ecKey(t, elliptic.P256())
	short := ecKey(t, elliptic.P256())
	for {
		point, err := short.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if point[1] == 0 {
			break
		}
		short = ecKey(t, elliptic.P256())
	}
	trimmed := func(text string) string {
		raw := must64(t, text)
		return encode64(bytes.TrimLeft(raw, "\x00"))
	}
	var members map[string]string
	if err := json.Unmarshal(jwkOf(t, short, map[string]any{"key_ops": nil}).JWK, &members); err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]api.Key{
		"without": jwkOf(t, short, map[string]any{"x": trimmed(members["x"])}),
		"one more": jwkOf(t, private, map[string]any{
			"d": encode64(append([]byte{0}, scalar(t, private)...)),
		}),
	} {
		if _, err := key.Signer(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnsupportedKeys(t *testing.T) {
	oct := api.Key{JWK: api.Secret(`{"kty":"oct","k":"AAEC"}`)}
	p256k, err := jwk.ParseScalar(jwk.P256K(), bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	signer := func(k api.Key) error { _, err := k.Signer(); return err }
	decrypter := func(k api.Key) error { _, err := k.Decrypter(); return err }
	secret := func(k api.Key) error { _, err := k.Bytes(); return err }
	for name, c := range map[string]struct{ got, want error }{
		"oct signs":     {signer(oct), api.ErrKeyType},
		"oct decrypts":  {decrypter(oct), api.ErrKeyType},
		"EC decrypts":   {decrypter(jwkOf(t, ecKey(t, elliptic.P256()), nil)), api.ErrKeyType},
		"RSA as bytes":  {secret(jwkOf(t, rsaKey(), nil)), api.ErrKeyType},
		"unknown type":  {signer(api.Key{JWK: api.Secret(`{"kty":"OKP"}`)}), api.ErrKeyType},
		"no type":       {secret(api.Key{JWK: api.Secret(`{}`)}), api.ErrKeyType},
		"P-256K":        {signer(jwkOf(t, p256k, nil)), api.ErrCurve},
		"secp256k1":     {decrypter(jwkOf(t, p256k, map[string]any{"crv": "secp256k1"})), api.ErrCurve},
		"unknown curve": {signer(jwkOf(t, p256k, map[string]any{"crv": "P-1"})), nil},
	} {
		if c.got == nil || c.want != nil && !errors.Is(c.got, c.want) {
			t.Errorf("%s: error %v, want %v", name, c.got, c.want)
		}
	}
}

// Malformed keys are refused. The error names the fault and does not contain the key.
func TestMalformedKeys(t *testing.T) {
	other := ecKey(t, elliptic.P256())
	rsaWith := func(name string, value any) api.Key { return jwkOf(t, rsaKey(), map[string]any{name: value}) }
	ecWith := func(name string, value any) api.Key {
		return jwkOf(t, ecKey(t, elliptic.P256()), map[string]any{name: value})
	}
	text := func(s string) api.Key { return api.Key{JWK: api.Secret(s)} }
	whole := string(jwkOf(t, rsaKey(), nil).JWK)
	for name, c := range map[string]struct {
		key  api.Key
		want string
	}{
		"nothing":                  {text(""), "not a JSON Web Key"},
		"array":                    {text("[]"), "not a JSON Web Key"},
		"open":                     {text(whole[:len(whole)-1]), "not a JSON Web Key"},
		"a value is missing":       {text(`{"kty"}`), "not a JSON Web Key"},
		"two":                      {text(whole + whole), "not a JSON Web Key"},
		"twice":                    {text(`{"kty":"RSA",` + whole[1:]), "stands twice"},
		"n is missing":             {rsaWith("n", nil), `"n" is missing`},
		"p is missing":             {rsaWith("p", nil), `"p" is missing`},
		"d in capitals":            {text(strings.Replace(whole, `"d"`, `"D"`, 1)), `"d" is missing`},
		"d is a number":            {rsaWith("d", 5), `"d" is not a string`},
		"d is null":                {text(`{"kty":"RSA","n":"AQ","e":"AQ","d":null}`), `"d" is not a string`},
		"d is empty":               {rsaWith("d", ""), `"d" is not base64url`},
		"d is padded":              {rsaWith("d", "AQ=="), `"d" is not base64url`},
		"d has stray bits":         {rsaWith("d", "AR"), `"d" is not base64url`},
		"d has a line break":       {rsaWith("d", "A\nQ"), `"d" is not base64url`},
		"n is huge":                {rsaWith("n", strings.Repeat("A", 2000)), `"n" is too long`},
		"e is large":               {rsaWith("e", "AQAAAAAB"), "exponent is too large"},
		"e is zero":                {rsaWith("e", "AA"), "contradict"},
		"d of a different RSA key": {rsaWith("d", "AQAB"), "contradict"},
		"p is one":                 {rsaWith("p", "AQ"), "contradict"},
		"p is zero":                {rsaWith("p", "AA"), "contradict"},
		"crv is missing":           {ecWith("crv", nil), "curve"},
		"x of a different key":     {ecWith("x", encode64(scalar(t, other))), "not on its curve"},
		"d of a different key":     {ecWith("d", encode64(scalar(t, other))), "contradict"},
		"d is zero":                {ecWith("d", encode64(make([]byte, 32))), "contradict"},
		"d is long":                {ecWith("d", encode64(make([]byte, 34))), "longer than the curve"},
		"x is long":                {ecWith("x", encode64(make([]byte, 33+1))), "longer than the curve"},
		"kty is a number":          {rsaWith("kty", 1), "another type"},
		"P-384 with P-256's":       {ecWith("crv", "P-384"), "not on its curve"},
		"RSA with EC members":      {ecWith("kty", "RSA"), `"n" is missing`},
	} {
		_, err := c.key.Signer()
		if err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 120 {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	if _, err := text(`{"kty":"oct"}`).Bytes(); err == nil || !strings.Contains(err.Error(), `"k" is missing`) {
		t.Errorf("oct without k: error %v", err)
	}
}

// The application can read what the sidecar reports about a key's origin.
func TestOrigin(t *testing.T) {
	for name, c := range map[string]struct {
		cache, age string
		want       api.Key
	}{
		"key cache off":     {"", "", api.Key{}},
		"kept":              {"hit", "7", api.Key{Cache: api.CacheHit, Age: 7 * time.Second}},
		"fresh":             {"miss", "0", api.Key{Cache: api.CacheMiss}},
		"past its lifetime": {"stale", "86400", api.Key{Cache: api.CacheStale, Age: 24 * time.Hour}},
		"no age":            {"hit", "", api.Key{Cache: api.CacheHit}},
		"negative":          {"hit", "-1", api.Key{Cache: api.CacheHit}},
		"another cache's":   {"", "7", api.Key{}},
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := answers(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Cache", c.cache)
				w.Header().Set("Age", c.age)
				_, _ = w.Write(api.ReleaseResponse{Key: api.Secret("{}")}.AppendJSON(nil))
			})
			key, err := client.ReleaseKey(t.Context(), api.ReleaseRequest{Alias: "demo"})
			if err != nil || key.Cache != c.want.Cache || key.Age != c.want.Age {
				t.Errorf("%q, %v; error %v", key.Cache, key.Age, err)
			}
		})
	}
}

func TestWipeKey(t *testing.T) {
	key := api.Key{JWK: api.Secret("abc")}
	key.Wipe()
	if !bytes.Equal(key.JWK, make([]byte, 3)) {
		t.Error("the key was not wiped")
	}
}

// FuzzKey parses keys from arbitrary input. If the sidecar's own parser accepts the
// same text, both parsers must return the same key.
func FuzzKey(f *testing.F) {
	f.Add([]byte(jwkOf(f, rsaKey(), nil).JWK))
	f.Add([]byte(jwkOf(f, rsaKey(), map[string]any{"p": "AQ"}).JWK))
	f.Add([]byte(jwkOf(f, ecKey(f, elliptic.P521()), nil).JWK))
	for _, text := range []string{
		``, `{}`, `[]`, `{"kty":"oct","k":"AAEC"}`, `{"kty":"oct","k":"A\u0041EC"}`, `{"kty":"EC","crv":"P-256","x":"","y":"","d":""}`,
		`{"kty":"RSA","n":"Aw","e":"AQ","d":"AQ","p":"AQ","q":"Aw"}`, `{"kty":{"a":1},"kty":2}`, `{"k":"`, `{"kty":"oct","k":"AA"} `,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		key := api.Key{JWK: bytes.Clone(text)}
		signer, err := key.Signer()
		secret, secretErr := key.Bytes()
		if _, decrypterErr := key.Decrypter(); decrypterErr == nil && err != nil {
			t.Error("a key that cannot be parsed decrypts")
		}
		if err == nil && secretErr == nil {
			t.Errorf("%q is read as two different keys", text)
		}
		if !bytes.Equal(key.JWK, text) {
			t.Errorf("%q was changed to %q", text, string(key.JWK))
		}
		theirs, parseErr := jwk.Parse(text)
		if parseErr != nil {
			return
		}
		if private, err := theirs.PrivateKey(); signer != nil && err == nil && !signer.(interface{ Equal(crypto.PrivateKey) bool }).Equal(private) {
			t.Errorf("the two parsers read different keys from %q", text)
		}
		if secretErr == nil && encode64(secret) != theirs.K {
			t.Errorf("%q is %x here and %q to the other parser", text, secret, theirs.K)
		}
	})
}

func must64(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := jwk.DecodeStrict(base64URL, text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func encode64(raw []byte) string { return base64URL.EncodeToString(raw) }

func scalar(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	raw, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func ExampleKey_Signer() {
	sidecar := newSidecar()
	defer sidecar.Close()
	client, err := api.NewClient(api.Config{BaseURL: sidecar.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := client.ReleaseKey(exampleContext, api.ReleaseRequest{KID: "signing"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer key.Wipe()
	signer, err := key.Signer()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%T, kept by the sidecar: %v, for %v\n", signer, key.Cache == api.CacheHit, key.Age)

	_, err = key.Bytes()
	fmt.Println("symmetric:", !errors.Is(err, api.ErrKeyType))
	// Output:
	// *ecdsa.PrivateKey, kept by the sidecar: true, for 1m30s
	// symmetric: false
}

// The version is the last part of the identifier. The reference sidecar sends no identifier.
func TestKeyVersion(t *testing.T) {
	for id, want := range map[string]string{
		"https://contoso.vault.azure.net/keys/demo/0123456789abcdef0123456789abcdef": "0123456789abcdef0123456789abcdef",
		"https://contoso.vault.azure.net/keys/demo":                                  "",
		"": "",
	} {
		if got := (api.Key{ID: id}).Version(); got != want {
			t.Errorf("%s: got %q, want %q", id, got, want)
		}
	}
}
