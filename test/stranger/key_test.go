package stranger

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"math/big"
	"sync"
	"testing"
)

// keyVersion is a version in the form that the services use.
const keyVersion = "25be256ab4534bb38fffaa1cb206cc40"

// message is encrypted to a key or signed with it.
const message = "Azure Confidential Computing"

// vaultKey is a key at rest in a vault, and the check that a JWK contains it.
type vaultKey struct {
	kty, curve, version string
	operations          []string
	public              map[string][]byte // members of the JWK
	plaintext           []byte            // the wrapped bytes: PKCS#8, or the octets
	private             string            // a member that must never be logged
	check               func(*testing.T, object)
}

var (
	rsaKey     = sync.OnceValue(func() vaultKey { return newRSAKey(2048) })
	rsa3072Key = sync.OnceValue(func() vaultKey { return newRSAKey(3072) })
	rsa4096Key = sync.OnceValue(func() vaultKey { return newRSAKey(4096) })
)

func newRSAKey(bits int) vaultKey {
	key := must(rsa.GenerateKey(rand.Reader, bits))
	return vaultKey{
		kty: "RSA", version: keyVersion, operations: []string{"encrypt", "decrypt", "wrapKey", "unwrapKey"},
		public:    map[string][]byte{"n": key.N.Bytes(), "e": {1, 0, 1}},
		plaintext: must(x509.MarshalPKCS8PrivateKey(key)), private: b64url(key.D.Bytes()),
		check: func(t *testing.T, jwk object) { t.Helper(); decryptsRSA(t, jwk, &key.PublicKey) },
	}
}

// decryptsRSA encrypts a message to the public key and decrypts it with the JWK.
func decryptsRSA(t *testing.T, jwk object, public *rsa.PublicKey) {
	t.Helper()
	wantType(t, jwk, "RSA", "")
	private := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: member(t, jwk, "n"), E: int(member(t, jwk, "e").Int64())},
		D:         member(t, jwk, "d"), Primes: []*big.Int{member(t, jwk, "p"), member(t, jwk, "q")},
	}
	if err := private.Validate(); err != nil {
		t.Fatalf("the JWK is not an RSA key: %v", err)
	}
	private.Precompute()
	for name, want := range map[string]*big.Int{"dp": private.Precomputed.Dp, "dq": private.Precomputed.Dq, "qi": private.Precomputed.Qinv} {
		if member(t, jwk, name).Cmp(want) != 0 {
			t.Errorf("%s of the JWK is wrong", name)
		}
	}
	ciphertext := must(rsa.EncryptOAEP(sha256.New(), rand.Reader, public, []byte(message), nil))
	got, err := rsa.DecryptOAEP(sha256.New(), nil, private, ciphertext, nil)
	if err != nil || string(got) != message {
		t.Errorf("decrypting with the released key: %q, %v", got, err)
	}
}

// newECKey returns a key on a curve of crypto/elliptic, in PKCS#8 as crypto/x509 writes
// it: with the named curve and the public key.
func newECKey(named elliptic.Curve) vaultKey {
	key := must(ecdsa.GenerateKey(named, rand.Reader))
	point := must(key.PublicKey.Bytes())
	half := len(point) / 2
	return vaultKey{
		kty: "EC", curve: named.Params().Name, version: keyVersion, operations: []string{"sign", "verify"},
		public:    map[string][]byte{"x": point[1 : 1+half], "y": point[1+half:]},
		plaintext: must(x509.MarshalPKCS8PrivateKey(key)), private: b64url(must(key.Bytes())),
		check: func(t *testing.T, jwk object) { t.Helper(); signsEC(t, jwk, &key.PublicKey) },
	}
}

// signsEC signs with the JWK and verifies with the public key.
func signsEC(t *testing.T, jwk object, public *ecdsa.PublicKey) {
	t.Helper()
	wantType(t, jwk, "EC", public.Curve.Params().Name)
	size := (public.Curve.Params().BitSize + 7) / 8
	private, err := ecdsa.ParseRawPrivateKey(public.Curve, member(t, jwk, "d").FillBytes(make([]byte, size)))
	if err != nil {
		t.Fatalf("the JWK is not a key on this curve: %v", err)
	}
	digest := sha256.Sum256([]byte(message))
	if !ecdsa.VerifyASN1(public, digest[:], must(ecdsa.SignASN1(rand.Reader, private, digest[:]))) {
		t.Error("the public key does not verify the released key's signature")
	}
}

// newBareECKey returns a key on any curve, in PKCS#8 with the given parameters and without
// the public key.
func newBareECKey(name string, c *curve, parameters []byte) vaultKey {
	d := must(rand.Int(rand.Reader, c.n))
	x, y := c.times(d)
	return vaultKey{
		kty: "EC", curve: name, version: keyVersion, operations: []string{"sign", "verify"},
		public:    map[string][]byte{"x": c.bytes(x), "y": c.bytes(y)},
		plaintext: c.pkcs8(d, parameters), private: b64url(c.bytes(d)),
		check: func(t *testing.T, jwk object) {
			t.Helper()
			wantType(t, jwk, "EC", name)
			for member, want := range map[string]*big.Int{"x": x, "y": y, "d": d} {
				if jwk[member] != b64url(c.bytes(want)) { // RFC 7518, section 6.2: full size
					t.Errorf("%s of the JWK is wrong", member)
				}
			}
		},
	}
}

func newOctKey(size int) vaultKey {
	key := random(size)
	return vaultKey{
		kty: "oct", version: keyVersion, operations: []string{"encrypt", "decrypt", "wrapKey", "unwrapKey"},
		plaintext: key, private: b64url(key),
		check: func(t *testing.T, jwk object) { t.Helper(); decryptsAES(t, jwk, key) },
	}
}

// decryptsAES encrypts a message with the key and decrypts it with the JWK.
func decryptsAES(t *testing.T, jwk object, key []byte) {
	t.Helper()
	wantType(t, jwk, "oct", "")
	text, _ := jwk["k"].(string)
	released, err := unb64url(text)
	if err != nil || len(released) != len(key) {
		t.Fatalf("k of the JWK: %d bytes, %v", len(released), err)
	}
	seal := func(key []byte) cipher.AEAD { return must(cipher.NewGCM(must(aes.NewCipher(key)))) }
	nonce := random(12)
	got, err := seal(released).Open(nil, nonce, seal(key).Seal(nil, nonce, []byte(message), nil), nil)
	if err != nil || !bytes.Equal(got, []byte(message)) {
		t.Errorf("decrypting with the released key: %q, %v", got, err)
	}
}

// wantType checks kty, with or without a vault's suffix, and crv.
func wantType(t *testing.T, jwk object, kty, crv string) {
	t.Helper()
	if jwk["kty"] != kty && jwk["kty"] != kty+"-HSM" {
		t.Errorf("kty = %v, want %s", jwk["kty"], kty)
	}
	if crv == "P-256K" {
		crv = "secp256k1" // the name in RFC 8812; JOSE libraries do not know the vault's name
	}
	if got, _ := jwk["crv"].(string); got != crv {
		t.Errorf("crv = %q, want %q", got, crv)
	}
}

// member returns a number in a JWK.
func member(t *testing.T, jwk object, name string) *big.Int {
	t.Helper()
	text, _ := jwk[name].(string)
	raw, err := unb64url(text)
	if err != nil || len(raw) == 0 || b64url(raw) != text {
		t.Fatalf("%s of the JWK is not unpadded base64url: %v", name, err)
	}
	return new(big.Int).SetBytes(raw)
}

// parseKey reads the "key" member of an answer: a JWK inside a string.
func parseKey(t *testing.T, body object) object {
	t.Helper()
	text, ok := body["key"].(string)
	if !ok {
		t.Fatalf("key is a %T, want a string", body["key"])
	}
	var jwk object
	if err := json.Unmarshal([]byte(text), &jwk); err != nil {
		t.Fatalf("key is not JSON: %v", err)
	}
	return jwk
}
