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

// keyVersion is a version as the services make them.
const keyVersion = "25be256ab4534bb38fffaa1cb206cc40"

// message is what is encrypted to a key or signed with it.
const message = "Azure Confidential Computing"

// vaultKey is a key at rest in a vault, and how to tell that a JWK holds it.
type vaultKey struct {
	kty, curve, version string
	operations          []string
	public              map[string][]byte // members of the JWK
	plaintext           []byte            // what is wrapped: PKCS#8, or the octets
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

// decryptsRSA sends a message to the public key and reads it with the JWK.
func decryptsRSA(t *testing.T, jwk object, public *rsa.PublicKey) {
	t.Helper()
	wantType(t, jwk, "RSA", "")
	private := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: member(t, jwk, "n"), E: int(member(t, jwk, "e").Int64())},
		D:         member(t, jwk, "d"), Primes: []*big.Int{member(t, jwk, "p"), member(t, jwk, "q")},
	}
	if err := private.Validate(); err != nil {
		t.Fatalf("the JWK is no RSA key: %v", err)
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

// newECKey is a key on a curve of crypto/elliptic, in PKCS#8 as crypto/x509
// writes it: named curve, with the public key.
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
		t.Fatalf("the JWK is no key on this curve: %v", err)
	}
	digest := sha256.Sum256([]byte(message))
	if !ecdsa.VerifyASN1(public, digest[:], must(ecdsa.SignASN1(rand.Reader, private, digest[:]))) {
		t.Error("the released key signs for another public key")
	}
}

// newBareECKey is a key on any curve, in PKCS#8 with the given parameters and
// without the public key.
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

// decryptsAES seals a message with the key and opens it with the JWK.
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

// wantType checks kty, with or without the suffix of a vault, and crv.
func wantType(t *testing.T, jwk object, kty, crv string) {
	t.Helper()
	if jwk["kty"] != kty && jwk["kty"] != kty+"-HSM" {
		t.Errorf("kty = %v, want %s", jwk["kty"], kty)
	}
	if crv == "P-256K" {
		crv = "secp256k1" // RFC 8812: no JOSE library knows the vault's name
	}
	if got, _ := jwk["crv"].(string); got != crv {
		t.Errorf("crv = %q, want %q", got, crv)
	}
}

// member is a number in a JWK.
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
		t.Fatalf("key is no JSON: %v", err)
	}
	return jwk
}
