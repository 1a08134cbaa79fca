package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"skr/internal/jose/jwk"
	"skr/test/rsakey"
)

const limit = 1 << 16

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsakey.Generate(2048)
	if err != nil {
		panic(err)
	}
	return key
})

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func sign(t *testing.T, method jwt.SigningMethod, key any, header string) string {
	t.Helper()
	input := b64(header) + "." + b64(`{"a":1}`)
	signature, err := method.Sign(input, key)
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64(string(signature))
}

func verify(text string, key crypto.PublicKey) error {
	object, err := Parse(text, limit)
	if err != nil {
		return err
	}
	return object.Verify(key)
}

func TestVerify(t *testing.T) {
	p256, p384 := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384())
	public := rsaKey().Public()
	good := sign(t, jwt.SigningMethodRS256, rsaKey(), `{"alg":"RS256"}`)
	small, err := rsakey.Generate(1024)
	if err != nil {
		t.Skipf("this toolchain makes no small RSA keys: %v", err)
	}
	cases := []struct {
		name, text string
		key        crypto.PublicKey
		want       string // part of the error; "" means none
	}{
		{"RS256", good, public, ""},
		{"PS512", sign(t, jwt.SigningMethodPS512, rsaKey(), `{"alg":"PS512"}`), public, ""},
		{"ES256", sign(t, jwt.SigningMethodES256, p256, `{"alg":"ES256"}`), p256.Public(), ""},
		{"ES384", sign(t, jwt.SigningMethodES384, p384, `{"alg":"ES384"}`), p384.Public(), ""},
		{"another key", good, p256.Public(), "does not fit"},
		{"none", b64(`{"alg":"none"}`) + "." + b64("{}") + ".", public, "does not fit"},
		{"keyed hash with the public key", sign(t, jwt.SigningMethodHS256, public.(*rsa.PublicKey).N.Bytes(), `{"alg":"HS256"}`), public, "does not fit"},
		{"algorithm swapped", sign(t, jwt.SigningMethodRS256, rsaKey(), `{"alg":"PS256"}`), public, "verification error"},
		{"other curve's algorithm", sign(t, jwt.SigningMethodES256, p256, `{"alg":"ES384"}`), p256.Public(), "does not fit"},
		{"no algorithm", sign(t, jwt.SigningMethodRS256, rsaKey(), `{}`), public, "does not fit"},
		{"small RSA key", good, small.Public(), "1024 bits"},
		{"symmetric key", good, []byte("key"), "neither RSA nor ECDSA"},
		{"critical extension", sign(t, jwt.SigningMethodRS256, rsaKey(), `{"alg":"RS256","crit":["b64"]}`), public, "critical"},
		{"algorithm twice", sign(t, jwt.SigningMethodRS256, rsaKey(), `{"alg":"none","alg":"RS256"}`), public, "header"},
		{"algorithm is a number", sign(t, jwt.SigningMethodRS256, rsaKey(), `{"alg":1}`), public, "wrong JSON type"},
		{"algorithm in capitals", sign(t, jwt.SigningMethodRS256, rsaKey(), `{"ALG":"RS256"}`), public, "other capitals"},
		{"second algorithm, in capitals", sign(t, jwt.SigningMethodRS256, rsaKey(), `{"alg":"RS256","Alg":"RS256"}`), public, "twice"},
		{"key id in capitals", sign(t, jwt.SigningMethodRS256, rsaKey(), `{"alg":"RS256","Kid":"a"}`), public, "other capitals"},
		{"key id with a Kelvin sign", sign(t, jwt.SigningMethodRS256, rsaKey(), `{"alg":"RS256","\u212aid":"a"}`), public, "other capitals"},
		{"critical in capitals", sign(t, jwt.SigningMethodRS256, rsaKey(), `{"alg":"RS256","CRIT":["b64"]}`), public, "other capitals"},
		{"header is an array", sign(t, jwt.SigningMethodRS256, rsaKey(), `[]`), public, "header"},
		{"two parts", good[:strings.LastIndexByte(good, '.')], public, "three parts"},
		{"four parts", good + ".AA", public, "three parts"},
		{"padding", good + "=", public, "not base64url"},
		{"line break", good + "\n", public, "not base64url"},
		{"too long", good + strings.Repeat("A", limit), public, "longer than"},
		{"empty", "", public, "three parts"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := verify(c.text, c.key)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestFlippedBits(t *testing.T) {
	good := sign(t, jwt.SigningMethodRS256, rsaKey(), `{"alg":"RS256"}`)
	for i := range len(good) - 1 { // the last character has spare bits
		flipped := []byte(good)
		flipped[i] ^= 1
		if verify(string(flipped), rsaKey().Public()) == nil {
			t.Fatalf("the change of byte %d was not detected", i)
		}
	}
}

func TestVerificationKey(t *testing.T) {
	published, err := jwk.FromPublic(rsaKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*jwk.Key)) jwk.Key { k := published; change(&k); return k }
	for name, c := range map[string]struct {
		key  jwk.Key
		want string
	}{
		"bare":             {published, ""},
		"full":             {with(func(k *jwk.Key) { k.Use, k.Alg, k.KeyOps = "sig", "RS256", []string{"sign", "verify"} }), ""},
		"for encryption":   {with(func(k *jwk.Key) { k.Use = "enc" }), "not for signatures"},
		"operations":       {with(func(k *jwk.Key) { k.KeyOps = []string{"encrypt"} }), "not for verifying"},
		"other algorithm":  {with(func(k *jwk.Key) { k.Alg = "PS256" }), "another algorithm"},
		"symmetric":        {jwk.Key{Kty: "oct", K: "AAAA"}, "another type"},
		"no type":          {with(func(k *jwk.Key) { k.Kty = "" }), "another type"},
		"bad certificate":  {with(func(k *jwk.Key) { k.X5c = []string{"AAAA"} }), "certificate"},
		"nothing but type": {jwk.Key{Kty: "RSA"}, ""},
	} {
		key, err := VerificationKey(c.key, "RS256")
		if name == "nothing but type" {
			if err == nil {
				t.Errorf("%s: returned a key: %v", name, key)
			}
			continue
		}
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(b64(`{"alg":"RS256"}`) + "." + b64("{}") + ".AA")
	f.Add("..")
	f.Fuzz(func(t *testing.T, text string) {
		object, err := Parse(text, limit)
		if err != nil {
			return
		}
		if again := b64(string(object.Header)) + "." + b64(string(object.Payload)); !strings.HasPrefix(text, again+".") {
			t.Fatalf("%q was parsed as %q", text, again)
		}
		if object.Verify(rsaKey().Public()) == nil {
			t.Fatal("a forged signature verified")
		}
	})
}
