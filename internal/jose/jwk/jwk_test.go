package jwk

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"skr/internal/strictjson"
	"skr/test/rsakey"
)

var testRSA = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsakey.Generate(2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newEC(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	if curve == P256K() {
		key, err := secp256k1.GeneratePrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		return key.ToECDSA()
	}
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// testKeys returns a private key of each type and curve.
func testKeys(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	return map[string]crypto.Signer{
		"RSA":    testRSA(),
		"P-256":  newEC(t, elliptic.P256()),
		"P-384":  newEC(t, elliptic.P384()),
		"P-521":  newEC(t, elliptic.P521()),
		"P-256K": newEC(t, P256K()),
	}
}

func TestRoundTrip(t *testing.T) {
	for name, private := range testKeys(t) {
		t.Run(name, func(t *testing.T) {
			written, err := FromPrivate(private)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(written)
			if err != nil {
				t.Fatal(err)
			}
			key, err := Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(written, key, cmp.Comparer(func(a, b Key) bool { return fmt.Sprint(a) == fmt.Sprint(b) && a.D == b.D })); diff != "" {
				t.Error(diff)
			}
			again, err := key.PrivateKey()
			if err != nil {
				t.Fatal(err)
			}
			if !private.(interface{ Equal(crypto.PrivateKey) bool }).Equal(again) {
				t.Error("the private key changed")
			}
			pub, err := key.PublicKey()
			if err != nil {
				t.Fatal(err)
			}
			if !private.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(pub) {
				t.Error("the public key changed")
			}
		})
	}
}

// TestAgainstGoJose checks that an independent library reads our output, that we read its
// output and that the thumbprints match. The library does not support P-256K.
func TestAgainstGoJose(t *testing.T) {
	for name, private := range testKeys(t) {
		if name == "P-256K" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			ours, err := FromPrivate(private)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(ours)
			if err != nil {
				t.Fatal(err)
			}
			var theirs jose.JSONWebKey
			if err := theirs.UnmarshalJSON(text); err != nil {
				t.Fatal(err)
			}
			if !theirs.Valid() || !private.(interface{ Equal(crypto.PrivateKey) bool }).Equal(theirs.Key) {
				t.Error("go-jose reads a different key")
			}
			sum, err := theirs.Thumbprint(crypto.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ours.Thumbprint(); err != nil || got != base64.RawURLEncoding.EncodeToString(sum) {
				t.Errorf("thumbprint %q, %v; go-jose %x", got, err, sum)
			}
			theirText, err := jose.JSONWebKey{Key: private}.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			key, err := Parse(theirText)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := key.PrivateKey(); err != nil || !private.(interface{ Equal(crypto.PrivateKey) bool }).Equal(again) {
				t.Errorf("we read a different key: %v", err)
			}
		})
	}
}

// TestThumbprintOfRFC uses the example of RFC 7638 section 3.1.
func TestThumbprintOfRFC(t *testing.T) {
	key := Key{
		Kty: "RSA", E: "AQAB", Alg: "RS256", Kid: "2011-04-29",
		N: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs" +
			"tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbO" +
			"pbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
	}
	const want = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
	for _, change := range []func(*Key){
		func(*Key) {},
		func(k *Key) { k.Kty = "RSA-HSM" },
		func(k *Key) { k.E = "AAEAAQ" },
	} {
		changed := key
		change(&changed)
		if got, err := changed.Thumbprint(); err != nil || got != want {
			t.Errorf("thumbprint of %v is %q, %v", changed, got, err)
		}
	}
}

func TestLenientNumbers(t *testing.T) {
	key, err := FromPrivate(newEC(t, elliptic.P521()))
	if err != nil {
		t.Fatal(err)
	}
	x, err := base64.RawURLEncoding.DecodeString(key.X)
	if err != nil {
		t.Fatal(err)
	}
	want := key.X
	if len(x) != 66 {
		t.Fatalf("x has %d bytes, want the curve's width", len(x))
	}
	for name, bytes := range map[string][]byte{
		"without leading zeros": new(big.Int).SetBytes(x).Bytes(),
		"with a leading zero":   append([]byte{0}, x...),
		"standard form":         x,
	} {
		key.X, key.Kty = base64.RawURLEncoding.EncodeToString(bytes), "EC-HSM"
		pub, err := key.PublicKey()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if canonical, err := FromPublic(pub); err != nil || canonical.X != want {
			t.Errorf("%s: encoded as %q, %v", name, canonical.X, err)
		}
	}
}

func certify(t *testing.T, signer crypto.Signer, extra int) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber:    big.NewInt(1),
		Subject:         pkix.Name{CommonName: "TEST ONLY"},
		NotBefore:       time.Unix(0, 0),
		NotAfter:        time.Unix(1<<33, 0),
		ExtraExtensions: []pkix.Extension{{Id: []int{1, 2, 3}, Value: make([]byte, extra)}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// TestCertificateOnly parses keys without n and e, as Microsoft Azure Attestation lists
// them, with certificates of about 30 KB.
func TestCertificateOnly(t *testing.T) {
	x5c := certify(t, testRSA(), 30<<10)
	set, err := ParseSet([]byte(fmt.Sprintf(`{"keys":[{"alg":"RS256","kid":"a+/=","kty":"RSA","use":"sig","x5c":[%q]},{"kty":"future","new":{"a":[1]}}]}`, x5c)))
	if err != nil {
		t.Fatal(err)
	}
	pub, err := set.Keys[0].PublicKey()
	if err != nil || !testRSA().PublicKey.Equal(pub) {
		t.Errorf("got %v, %v", pub, err)
	}
	if _, err := set.Keys[1].PublicKey(); err == nil {
		t.Error("a key of an unknown type has a public key")
	}
	ec := newEC(t, elliptic.P384())
	key := Key{Kty: "EC", X5c: []string{certify(t, ec, 1)}}
	if pub, err := key.PublicKey(); err != nil || !ec.PublicKey.Equal(pub) {
		t.Errorf("got %v, %v", pub, err)
	}
}

func TestParseRefuses(t *testing.T) {
	keys := func(n int) string {
		return `{"keys":[` + strings.TrimSuffix(strings.Repeat(`{"kty":"RSA"},`, n), ",") + `]}`
	}
	for name, c := range map[string]struct{ text, reason string }{
		"empty":             {``, "is not JSON"},
		"not an object":     {`[]`, "wrong JSON type"},
		"cut off":           {`{"kty":"RSA"`, "is not JSON"},
		"trailing":          {`{"kty":"RSA"}{}`, "after the JSON value"},
		"trailing bracket":  {`{"kty":"RSA"}]`, "after the JSON value"},
		"no kty":            {`{"n":"AA"}`, `"kty" is missing`},
		"twice":             {`{"kty":"RSA","n":"AA","n":"AQ"}`, "twice"},
		"twice by case":     {`{"kty":"RSA","n":"AA","N":"AQ"}`, "twice"},
		"twice by Kelvin":   {`{"kty":"RSA","kid":"a","` + "\u212a" + `id":"b"}`, "twice"},
		"twice by long s":   {`{"kty":"RSA","use":"a","u` + "\u017f" + `e":"b"}`, "twice"},
		"twice, nested":     {`{"kty":"RSA","new":[{"a":1,"a":2}]}`, "twice"},
		"twice, by escapes": {`{"kty":"RSA","\u006bty":"oct"}`, "twice"},
		"wrong type":        {`{"kty":"RSA","n":1}`, `"n" has the wrong JSON type`},
		"deep":              {`{"kty":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, "nested more than 32 levels"},
		"long":              {`{"kty":"RSA","kid":"` + strings.Repeat("a", maxKey) + `"}`, "longer than"},
	} {
		if key, err := Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: Parse = %v, %v; want %q", name, key, err, c.reason)
		}
	}
	for name, c := range map[string]struct{ text, reason string }{
		"no keys":   {`{}`, `"keys" is missing`},
		"null":      {`{"keys":null}`, `"keys" is missing`},
		"too many":  {keys(maxKeys + 1), "more than 64"},
		"duplicate": {`{"keys":[{"kty":"RSA","e":"AQAB","e":"Aw"}]}`, "twice"},
	} {
		if set, err := ParseSet([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: ParseSet = %v, %v; want %q", name, set, err, c.reason)
		}
	}
	if _, err := ParseSet([]byte(keys(maxKeys))); err != nil {
		t.Error(err)
	}
}

func TestPublicKeyRefuses(t *testing.T) {
	rsaKey, err := FromPublic(&testRSA().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := FromPublic(&newEC(t, elliptic.P256()).PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	koblitz, err := FromPublic(&newEC(t, P256K()).PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	even := new(big.Int).Lsh(big.NewInt(1), 2047)
	small := new(big.Int).SetBit(big.NewInt(1), 1023, 1)
	huge := new(big.Int).SetBit(big.NewInt(1), 8192, 1)
	ecCert := certify(t, newEC(t, elliptic.P256()), 1)
	for name, c := range map[string]struct {
		key    Key
		change func(*Key)
	}{
		"symmetric":            {Key{Kty: "oct", K: "AAAA"}, func(*Key) {}},
		"no modulus":           {rsaKey, func(k *Key) { k.N = "" }},
		"no exponent":          {rsaKey, func(k *Key) { k.E = "" }},
		"padding":              {rsaKey, func(k *Key) { k.E = "AQAB====" }},
		"one padding":          {rsaKey, func(k *Key) { k.E = "Aw==" }},
		"line break":           {rsaKey, func(k *Key) { k.E = "AQ\nAB" }},
		"standard alphabet":    {rsaKey, func(k *Key) { k.N = strings.NewReplacer("-", "+", "_", "/").Replace("-_" + k.N[2:]) }},
		"stray bits":           {rsaKey, func(k *Key) { k.E = "Ax" }},
		"even modulus":         {rsaKey, func(k *Key) { k.N = encodeNumber(even) }},
		"1024 bits":            {rsaKey, func(k *Key) { k.N = encodeNumber(small) }},
		"8193 bits":            {rsaKey, func(k *Key) { k.N = encodeNumber(huge) }},
		"endless modulus":      {rsaKey, func(k *Key) { k.N = strings.Repeat("A", 20000) }},
		"exponent 1":           {rsaKey, func(k *Key) { k.E = "AQ" }},
		"even exponent":        {rsaKey, func(k *Key) { k.E = "AQAA" }},
		"32-bit exponent":      {rsaKey, func(k *Key) { k.E = "_____w" }},
		"no curve":             {ecKey, func(k *Key) { k.Crv = "" }},
		"unknown curve":        {ecKey, func(k *Key) { k.Crv = "P-224" }},
		"another curve":        {ecKey, func(k *Key) { k.Crv = "P-384" }},
		"Koblitz for NIST":     {ecKey, func(k *Key) { k.Crv = "P-256K" }},
		"NIST for Koblitz":     {koblitz, func(k *Key) { k.Crv = "P-256" }},
		"no y":                 {ecKey, func(k *Key) { k.Y = "" }},
		"off the curve":        {ecKey, func(k *Key) { k.X, k.Y = k.Y, k.X }},
		"off the Koblitz":      {koblitz, func(k *Key) { k.X, k.Y = k.Y, k.X }},
		"infinity":             {koblitz, func(k *Key) { k.X = encode(make([]byte, 32)); k.Y = k.X }},
		"x beyond the field":   {koblitz, func(k *Key) { k.X = encode(bytes.Repeat([]byte{255}, 32)) }},
		"long coordinate":      {ecKey, func(k *Key) { k.X = encode(append([]byte{1}, make([]byte, 32)...)) }},
		"two leading zeros":    {ecKey, func(k *Key) { k.X = encode(make([]byte, 34)) }},
		"x5c is not base64":    {Key{Kty: "RSA", X5c: []string{"-_"}}, func(*Key) {}},
		"x5c is not DER":       {Key{Kty: "RSA", X5c: []string{"AAAA"}}, func(*Key) {}},
		"x5c of another type":  {Key{Kty: "RSA", X5c: []string{ecCert}}, func(*Key) {}},
		"x5c with line breaks": {Key{Kty: "EC", X5c: []string{ecCert[:8] + "\r\n" + ecCert[8:]}}, func(*Key) {}},
	} {
		c.change(&c.key)
		if pub, err := c.key.PublicKey(); err == nil {
			t.Errorf("%s: got %v", name, pub)
		}
	}
}

func TestPrivateKeyRefuses(t *testing.T) {
	rsaKey, err := FromPrivate(testRSA())
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := FromPrivate(newEC(t, elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	koblitz, err := FromPrivate(newEC(t, P256K()))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key    Key
		change func(*Key)
	}{
		"symmetric":      {Key{Kty: "oct", K: "AAAA"}, func(*Key) {}},
		"no d":           {rsaKey, func(k *Key) { k.D = "" }},
		"no primes":      {rsaKey, func(k *Key) { k.P, k.Q = "", "" }},
		"another d":      {rsaKey, func(k *Key) { k.D = k.DP }},
		"primes equal":   {rsaKey, func(k *Key) { k.Q = k.P }},
		"dp for dq":      {rsaKey, func(k *Key) { k.DP, k.DQ = k.DQ, k.DP }},
		"another qi":     {rsaKey, func(k *Key) { k.QI = k.DQ }},
		"no scalar":      {ecKey, func(k *Key) { k.D = "" }},
		"zero":           {ecKey, func(k *Key) { k.D = encode(make([]byte, 32)) }},
		"the order":      {ecKey, func(k *Key) { k.D = encodeNumber(elliptic.P256().Params().N) }},
		"another":        {ecKey, func(k *Key) { k.D = "Ag" }},
		"Koblitz zero":   {koblitz, func(k *Key) { k.D = encode(make([]byte, 32)) }},
		"Koblitz order":  {koblitz, func(k *Key) { k.D = encodeNumber(secp256k1.Params().N) }},
		"Koblitz other":  {koblitz, func(k *Key) { k.D = "Ag" }},
		"Koblitz longer": {koblitz, func(k *Key) { k.D = encode(append([]byte{1}, make([]byte, 32)...)) }},
	} {
		c.change(&c.key)
		_, err := c.key.PrivateKey()
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if len(c.key.D) > 20 && strings.Contains(err.Error(), c.key.D) {
			t.Errorf("%s: the error contains the private member", name)
		}
	}
}

// TestParseScalar checks that values from the order upwards are refused, not reduced.
func TestParseScalar(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521(), P256K()} {
		width, order := widthOf(curve), curve.Params().N
		for name, c := range map[string]struct {
			scalar *big.Int
			good   bool
		}{
			"0": {new(big.Int), false}, "1": {big.NewInt(1), true}, "n-1": {new(big.Int).Sub(order, big.NewInt(1)), true},
			"n": {order, false}, "n+1": {new(big.Int).Add(order, big.NewInt(1)), false},
		} {
			if _, err := ParseScalar(curve, c.scalar.FillBytes(make([]byte, width))); (err == nil) != c.good {
				t.Errorf("%s on %s: %v", name, curve.Params().Name, err)
			}
		}
		if _, err := ParseScalar(curve, []byte{1}); err == nil {
			t.Errorf("a short scalar is accepted on %s", curve.Params().Name)
		}
	}
}

func TestFromRefuses(t *testing.T) {
	for name, pub := range map[string]crypto.PublicKey{
		"nil": nil, "nil RSA": (*rsa.PublicKey)(nil), "empty RSA": &rsa.PublicKey{}, "nil EC": (*ecdsa.PublicKey)(nil),
		"empty EC": &ecdsa.PublicKey{}, "P-224": &newEC(t, elliptic.P224()).PublicKey, "empty Koblitz": &ecdsa.PublicKey{Curve: P256K()},
	} {
		if key, err := FromPublic(pub); err == nil {
			t.Errorf("FromPublic of %s: %v", name, key)
		}
	}
	for name, private := range map[string]crypto.PrivateKey{
		"nil": nil, "nil RSA": (*rsa.PrivateKey)(nil), "empty RSA": &rsa.PrivateKey{}, "nil EC": (*ecdsa.PrivateKey)(nil),
		"empty EC":       &ecdsa.PrivateKey{},
		"Koblitz, empty": &ecdsa.PrivateKey{PublicKey: newEC(t, P256K()).PublicKey},
	} {
		if key, err := FromPrivate(private); err == nil {
			t.Errorf("FromPrivate of %s: %v", name, key)
		}
	}
}

func TestPrintsRedact(t *testing.T) {
	for name, private := range testKeys(t) {
		key, err := FromPrivate(private)
		if err != nil {
			t.Fatal(err)
		}
		key.K = "c3ltbWV0cmljIHNlY3JldA"
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "key", key, "pointer", &key)
		prints := []string{
			fmt.Sprint(key), fmt.Sprintf("%v %+v %#v %s %q %x %d", key, key, key, key, key, key, key),
			fmt.Sprintf("%v %+v %#v", &key, &key, &key), fmt.Sprintf("%+v %#v", Set{[]Key{key}}, Set{[]Key{key}}), log.String(),
		}
		for _, print := range prints {
			for _, secret := range []string{key.D, key.P, key.Q, key.DP, key.DQ, key.QI, key.K} {
				if secret != "" && (strings.Contains(print, secret) || strings.Contains(print, fmt.Sprintf("%x", secret))) {
					t.Errorf("%s: a private member is in %q", name, print)
				}
			}
			if !strings.Contains(print, redacted) {
				t.Errorf("%s: %q has no redaction", name, print)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"kty":"RSA-HSM","n":"4t4N","e":"AAEAAQ"}`,
		`{"kty":"EC","crv":"P-256K","x":"utVp31xJkn2c2B_nH-m5rIBdzH3PUy126J1NLwWNV1w","y":"RgrDcO7w_0jrgjL0nz7U4ig_ElWLxIBmgnZuI7F_NaQ","d":"AQ"}`,
		`{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}`, `{"kty":"RSA","x5c":["MIIB"]}`, `{"kty":"oct","k":"AAAA","K":"b"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := Parse(data)
		if err != nil {
			return
		}
		_ = key.String()
		_, _ = key.PrivateKey()
		pub, err := key.PublicKey()
		if err != nil {
			return
		}
		written, err := FromPublic(pub)
		if err != nil {
			t.Fatalf("a parsed public key cannot be encoded: %v", err)
		}
		again, err := written.PublicKey()
		if err != nil || !pub.(interface{ Equal(crypto.PublicKey) bool }).Equal(again) {
			t.Fatalf("the public key changed: %v", err)
		}
	})
}

func FuzzParseSet(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"4t4N","e":"AQAB","key_ops":["encrypt"]},{"kty":"x"}],"vm-configuration":{"a":true}}`))
	f.Add([]byte(`{"keys":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := ParseSet(data)
		if err != nil {
			return
		}
		for _, key := range set.Keys {
			_, _ = key.PublicKey()
			_, _ = key.Thumbprint()
		}
		if (strictjson.Decoder{}).Check(data) != nil {
			t.Fatal("a set with duplicate members was accepted")
		}
	})
}

// A name counts only in its exact spelling, wherever that name would be read. Elsewhere it
// has no effect.
func TestUnmarshalIsExact(t *testing.T) {
	type inner struct{ Deep string }
	type wire struct {
		Key

		Plain   string
		Tagged  string `json:"tagged"`
		Pointer *inner
		List    []inner
		Raw     json.RawMessage
		Map     map[string]inner
		Skipped string `json:"-"`
	}
	for text, want := range map[string]string{
		`{"Plain":"a","tagged":"b","kid":"c","Pointer":{"Deep":"d"},"List":[{"Deep":"e"}],"unknown":{"DEEP":1,"TAGGED":2}}`: "",
		`{"plain":"a"}`: "capitals", `{"Tagged":"a"}`: "capitals", `{"KID":"a"}`: "capitals", `{"\u212aid":"a"}`: "capitals", `{"X5C":[]}`: "capitals",
		`{"Pointer":{"deep":"a"}}`: "capitals", `{"List":[{"Deep":"a"},{"DEEP":"a"}]}`: "capitals",
		`{"Raw":{"deep":1,"KID":2},"Map":{"deep":{}}}`: "", `{"skipped":"a"}`: "",
		`{"tagged":"a","TAGGED":"b"}`: "twice", `{"tagged":1}`: "wrong JSON type", `{"tagged":"a"} x`: "after the JSON value", `[`: "not JSON",
	} {
		err := Unmarshal([]byte(text), &wire{})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
