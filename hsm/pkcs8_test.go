package hsm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os/exec"
	"slices"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"skr/internal/jose/jwk"
)

// describe sets what a statement would state about the key in der.
func (w *WrappedKey) describe(t testing.TB, der []byte) {
	t.Helper()
	private, err := parsePKCS8(der)
	if err != nil {
		t.Fatal(err)
	}
	w.public = private.(crypto.Signer).Public()
	key, err := jwk.FromPublic(w.public)
	if err != nil {
		t.Fatal(err)
	}
	w.kind = key.Type()
}

func curveKeys(t testing.TB) map[string]*ecdsa.PrivateKey {
	t.Helper()
	koblitz, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*ecdsa.PrivateKey{
		"P-256": newEC(t, elliptic.P256()), "P-384": newEC(t, elliptic.P384()),
		"P-521": newEC(t, elliptic.P521()), "P-256K": koblitz.ToECDSA(),
	}
}

// ecDER encodes EC private keys in all forms.
type ecDER struct {
	key        *ecdsa.PrivateKey
	explicit   bool
	noPublic   bool
	inner      bool // repeats the parameters inside ECPrivateKey
	compressed bool
	seed       []byte
	noCofactor bool
	version    int64 // PKCS #8 version
	attributes bool
	change     func(*explicitCurve)
	scalar     []byte // replaces the key's
	public     []byte // replaces the key's
	innerCurve elliptic.Curve
	trailing   [4][]byte // after PKCS #8, inside it, after ECPrivateKey, inside it
}

func (e ecDER) bytes(t testing.TB) []byte {
	t.Helper()
	scalar, err := jwk.ScalarBytes(e.key)
	if err != nil {
		t.Fatal(err)
	}
	if e.scalar != nil {
		scalar = e.scalar
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(e.version)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidEC)
			e.curve(t, b, e.key.Curve)
		})
		b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) {
			e.private(t, b, scalar)
			b.AddBytes(e.trailing[2])
		})
		if e.attributes {
			b.AddASN1(tagAttributes, func(*cryptobyte.Builder) {})
		}
		b.AddBytes(e.trailing[1])
	})
	b.AddBytes(e.trailing[0])
	return b.BytesOrPanic()
}

func (e ecDER) private(t testing.TB, b *cryptobyte.Builder, scalar []byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1OctetString(scalar)
		if e.inner {
			curve := e.key.Curve
			if e.innerCurve != nil {
				curve = e.innerCurve
			}
			b.AddASN1(tagECParams, func(b *cryptobyte.Builder) { e.curve(t, b, curve) })
		}
		if !e.noPublic {
			public := e.public
			if public == nil {
				public = e.point(t)
			}
			b.AddASN1(tagECPublic, func(b *cryptobyte.Builder) { b.AddASN1BitString(public) })
		}
		b.AddBytes(e.trailing[3])
	})
}

func (e ecDER) point(t testing.TB) []byte {
	t.Helper()
	point, err := jwk.PointBytes(&e.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if e.compressed {
		return compress(point)
	}
	return point
}

func compress(point []byte) []byte {
	short := bytes.Clone(point[:1+len(point)/2])
	short[0] = 2 + point[len(point)-1]%2
	return short
}

func (e ecDER) curve(t testing.TB, b *cryptobyte.Builder, curve elliptic.Curve) {
	if !e.explicit {
		oid, err := oidOf(curve)
		if err != nil {
			t.Fatal(err)
		}
		b.AddASN1ObjectIdentifier(oid)
		return
	}
	c := e.parameters(curve)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidPrimeField)
			b.AddASN1BigInt(c.p)
		})
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1OctetString(c.a)
			b.AddASN1OctetString(c.b)
			if e.seed != nil {
				b.AddASN1BitString(e.seed)
			}
		})
		b.AddASN1OctetString(c.base)
		b.AddASN1BigInt(c.n)
		if c.cofactor != nil {
			b.AddASN1BigInt(c.cofactor)
		}
	})
}

func (e ecDER) parameters(curve elliptic.Curve) explicitCurve {
	params := curve.Params()
	width := (params.BitSize + 7) / 8
	a := new(big.Int)
	if curve != jwk.P256K() {
		a.Sub(params.P, big.NewInt(3))
	}
	c := explicitCurve{p: params.P, n: params.N, cofactor: big.NewInt(1), a: a.FillBytes(make([]byte, width)), b: params.B.FillBytes(make([]byte, width))}
	c.base = slices.Concat([]byte{4}, params.Gx.FillBytes(make([]byte, width)), params.Gy.FillBytes(make([]byte, width)))
	if e.compressed {
		c.base = compress(c.base)
	}
	if e.noCofactor {
		c.cofactor = nil
	}
	if e.change != nil {
		e.change(&c)
	}
	return c
}

func TestECForms(t *testing.T) {
	for curve, key := range curveKeys(t) {
		short, err := jwk.ScalarBytes(key)
		if err != nil {
			t.Fatal(err)
		}
		for name, form := range map[string]ecDER{
			"named":                       {},
			"named, no public key":        {noPublic: true},
			"named twice":                 {inner: true},
			"compressed":                  {compressed: true},
			"explicit":                    {explicit: true},
			"explicit, no public key":     {explicit: true, noPublic: true},
			"explicit twice, with a seed": {explicit: true, inner: true, seed: make([]byte, 20)},
			"explicit, compressed":        {explicit: true, compressed: true},
			"explicit, no cofactor":       {explicit: true, noCofactor: true},
			"explicit, short a":           {explicit: true, change: func(c *explicitCurve) { c.a = append([]byte{0}, bytes.TrimLeft(c.a, "\x00")...)[1:] }},
			"version 1":                   {version: 1},
			"attributes":                  {attributes: true},
			"leading zero":                {scalar: append([]byte{0}, short...)},
			"no leading zeros":            {scalar: bytes.TrimLeft(short, "\x00")},
		} {
			form.key = key
			got, err := parsePKCS8(form.bytes(t))
			if err != nil || !key.Equal(got) {
				t.Errorf("%s, %s: got a different key, %v", curve, name, err)
			}
		}
	}
}

// TestLengthsOfVaultKeys checks that both forms of P-256K have the lengths seen in
// recordings of vaults.
func TestLengthsOfVaultKeys(t *testing.T) {
	key := curveKeys(t)["P-256K"]
	if n := len((ecDER{key: key}).bytes(t)); n != 135 {
		t.Errorf("named: %d bytes", n)
	}
	if n := len((ecDER{key: key, explicit: true, noPublic: true}).bytes(t)); n != 287 {
		t.Errorf("explicit: %d bytes", n)
	}
}

func TestECRefused(t *testing.T) {
	for curve, key := range curveKeys(t) {
		width := (key.Params().BitSize + 7) / 8
		other := newEC(t, elliptic.P256())
		otherPoint, err := jwk.PointBytes(&other.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		foreign := elliptic.P384()
		if curve == "P-384" {
			foreign = elliptic.P256()
		}
		changed := func(change func(*explicitCurve)) ecDER { return ecDER{explicit: true, change: change} }
		for name, form := range map[string]ecDER{
			"trailing data":           {trailing: [4][]byte{{0}, nil, nil, nil}},
			"trailing in PKCS #8":     {trailing: [4][]byte{nil, {5, 0}, nil, nil}},
			"trailing key data":       {trailing: [4][]byte{nil, nil, {0}, nil}},
			"trailing in the key":     {trailing: [4][]byte{nil, nil, nil, {5, 0}}},
			"version 2":               {version: 2},
			"scalar zero":             {scalar: make([]byte, width)},
			"scalar empty":            {scalar: []byte{}},
			"scalar is the order":     {scalar: key.Params().N.FillBytes(make([]byte, width)), noPublic: true},
			"scalar too long":         {scalar: make([]byte, width+2)},
			"scalar with a leading 1": {scalar: append([]byte{1}, make([]byte, width)...)},
			"another public key":      {public: otherPoint},
			"public key truncated":    {public: []byte{4}},
			"empty public key":        {public: []byte{}},
			"two curves":              {inner: true, innerCurve: foreign},
			"another prime":           changed(func(c *explicitCurve) { c.p = new(big.Int).Add(c.p, big.NewInt(2)) }),
			"another order":           changed(func(c *explicitCurve) { c.n = new(big.Int).Sub(c.n, big.NewInt(2)) }),
			"another a":               changed(func(c *explicitCurve) { c.a[0] ^= 1 }),
			"another b":               changed(func(c *explicitCurve) { c.b[len(c.b)-1] ^= 1 }),
			"another base point":      changed(func(c *explicitCurve) { c.base[len(c.base)-1] ^= 1 }),
			"base at infinity":        changed(func(c *explicitCurve) { c.base = []byte{0} }),
			"cofactor 2":              changed(func(c *explicitCurve) { c.cofactor = big.NewInt(2) }),
			"negative prime":          changed(func(c *explicitCurve) { c.p = new(big.Int).Neg(c.p) }),
			"huge a":                  changed(func(c *explicitCurve) { c.a = append(make([]byte, width), c.a...) }),
		} {
			form.key = key
			if _, err := parsePKCS8(form.bytes(t)); err == nil {
				t.Errorf("%s: %s is accepted", curve, name)
			}
		}
	}
}

// TestChosenBasePoint is CVE-2020-0601: if the generator is not checked, anyone has a
// private key for a known public key.
func TestChosenBasePoint(t *testing.T) {
	victim := newEC(t, elliptic.P256())
	point, err := jwk.PointBytes(&victim.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	one := make([]byte, 32)
	one[31] = 1
	forged := ecDER{key: victim, explicit: true, scalar: one, change: func(c *explicitCurve) { c.base = point }}
	if _, err := parsePKCS8(forged.bytes(t)); err == nil {
		t.Error("a chosen base point is accepted")
	}
}

func TestRSAForms(t *testing.T) {
	key := newRSA(t, 2048)
	inner := x509.MarshalPKCS1PrivateKey(key)
	build := func(parameters, inner []byte) []byte {
		var b cryptobyte.Builder
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(0)
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidRSA)
				b.AddBytes(parameters)
			})
			b.AddASN1OctetString(inner)
		})
		return b.BytesOrPanic()
	}
	broken := *key
	broken.D = new(big.Int).Add(key.D, big.NewInt(2))
	broken.Precomputed = rsa.PrecomputedValues{}
	for name, c := range map[string]struct {
		der  []byte
		good bool
	}{
		"as the standard says": {build([]byte{5, 0}, inner), true},
		"no parameters":        {build(nil, inner), true},
		"other parameters":     {build([]byte{2, 1, 0}, inner), false},
		"parameters and more":  {build([]byte{5, 0, 5, 0}, inner), false},
		"a NULL with content":  {build([]byte{5, 1, 0}, inner), false},
		"trailing key data":    {build([]byte{5, 0}, append(bytes.Clone(inner), 0)), false},
		"cut":                  {build([]byte{5, 0}, inner[:len(inner)-1]), false},
		"another d":            {build([]byte{5, 0}, pkcs1(t, &broken)), false},
		"empty":                {nil, false},
		"PKCS #1":              {inner, false},
		"trailing data":        {append(build([]byte{5, 0}, inner), 0), false},
		"non-minimal length":   {append([]byte{0x30, 0x83, 0}, build([]byte{5, 0}, inner)[2:]...), false},
	} {
		got, err := parsePKCS8(c.der)
		if (err == nil) != c.good || c.good && !key.Equal(got) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// pkcs1 encodes what crypto/x509 refuses to encode.
func pkcs1(t *testing.T, key *rsa.PrivateKey) []byte {
	t.Helper()
	one := big.NewInt(1)
	p, q := key.Primes[0], key.Primes[1]
	der, err := asn1.Marshal(struct {
		Version             int
		N                   *big.Int
		E                   int
		D, P, Q, DP, DQ, QI *big.Int
	}{
		0, key.N, key.E, key.D, p, q,
		new(big.Int).Mod(key.D, new(big.Int).Sub(p, one)), new(big.Int).Mod(key.D, new(big.Int).Sub(q, one)), new(big.Int).ModInverse(q, p),
	})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestOtherKeysAreRefused(t *testing.T) {
	ed25519 := append([]byte{0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20}, make([]byte, 32)...)
	p224, err := x509.MarshalPKCS8PrivateKey(newEC(t, elliptic.P224()))
	if err != nil {
		t.Fatal(err)
	}
	for name, der := range map[string][]byte{"Ed25519": ed25519, "P-224": p224} {
		if _, err := x509.ParsePKCS8PrivateKey(der); err != nil {
			t.Fatalf("%s: this case proves nothing: %v", name, err)
		}
		if _, err := parsePKCS8(der); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// TestOpenSSLKeys parses and compares both forms as an independent program writes them.
func TestOpenSSLKeys(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	for _, curve := range []string{"P-256", "P-384", "P-521", "secp256k1"} {
		for _, encoding := range []string{"named_curve", "explicit"} {
			command := exec.CommandContext(t.Context(), openssl, "genpkey", "-algorithm", "EC",
				"-pkeyopt", "ec_paramgen_curve:"+curve, "-pkeyopt", "ec_param_enc:"+encoding)
			text, err := command.Output()
			if err != nil {
				t.Skipf("openssl genpkey does not run here: %v", err)
			}
			block, _ := pem.Decode(text)
			if block == nil || block.Type != "PRIVATE KEY" {
				t.Fatalf("openssl writes %q", text)
			}
			key, err := parsePKCS8(block.Bytes)
			if err != nil {
				t.Errorf("%s, %s: %v", curve, encoding, err)
				continue
			}
			again, err := marshalPKCS8(key)
			if err != nil || encoding == "named_curve" && !bytes.Equal(again, block.Bytes) {
				t.Errorf("%s, %s: written in a different form, %v", curve, encoding, err)
			}
			check := exec.CommandContext(t.Context(), openssl, "pkey", "-inform", "DER", "-check", "-noout")
			check.Stdin = bytes.NewReader(again)
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%s, %s: openssl refuses ours: %s", curve, encoding, out)
			}
		}
	}
}

func FuzzParsePKCS8(f *testing.F) {
	for _, key := range curveKeys(f) {
		f.Add(ecDER{key: key}.bytes(f))
		f.Add(ecDER{key: key, explicit: true, noPublic: true, seed: []byte{1}}.bytes(f))
	}
	if der, err := x509.MarshalPKCS8PrivateKey(newRSA(f, 2048)); err == nil {
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		key, err := parsePKCS8(der)
		if err != nil {
			return
		}
		again, err := marshalPKCS8(key)
		if err != nil {
			t.Fatalf("a parsed key cannot be encoded: %v", err)
		}
		if same, err := parsePKCS8(again); err != nil || !key.(interface{ Equal(crypto.PrivateKey) bool }).Equal(same) {
			t.Fatalf("the key changed: %v", err)
		}
	})
}
