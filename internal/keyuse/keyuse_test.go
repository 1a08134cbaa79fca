package keyuse

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"skr/internal/jose/jwk"
	"skr/test/rsakey"
)

// opened returns a key of the private part with the operations, or of all operations.
func opened(t testing.TB, private crypto.PrivateKey, ops ...string) *Key {
	t.Helper()
	key, err := jwk.FromPrivate(private)
	if err != nil {
		t.Fatal(err)
	}
	key.KeyOps = ops
	text, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	k, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newRSA(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	private, err := rsakey.Generate(bits)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

func symmetric(t testing.TB, secret string) *Key {
	t.Helper()
	return &Key{family: newOct(unhex(t, secret))}
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestRoundTrips checks each algorithm that seals against its opposite, and that an altered
// byte does not open.
func TestRoundTrips(t *testing.T) {
	private := newRSA(t, 2048)
	text := bytes.Repeat([]byte("sixteen bytes 16"), 2)
	for _, c := range []struct {
		key        *Key
		algorithm  string
		seal, open Operation
		altered    bool // an altered ciphertext opens to other bytes
	}{
		{key: opened(t, private), algorithm: "RSA-OAEP", seal: Encrypt, open: Decrypt},
		{key: opened(t, private), algorithm: "RSA-OAEP-256", seal: WrapKey, open: UnwrapKey},
		{key: opened(t, private), algorithm: "RSA1_5", seal: WrapKey, open: UnwrapKey, altered: true},
		{key: symmetric(t, a128), algorithm: "A128GCM", seal: Encrypt, open: Decrypt},
		{key: symmetric(t, a192), algorithm: "A192GCM", seal: Encrypt, open: Decrypt},
		{key: symmetric(t, a256), algorithm: "A256GCM", seal: Encrypt, open: Decrypt},
		{key: symmetric(t, a128), algorithm: "A128CBC", seal: Encrypt, open: Decrypt, altered: true},
		{key: symmetric(t, a192), algorithm: "A192CBCPAD", seal: Encrypt, open: Decrypt},
		{key: symmetric(t, a256), algorithm: "A256CBCPAD", seal: Encrypt, open: Decrypt},
		{key: symmetric(t, a192), algorithm: "A192KW", seal: WrapKey, open: UnwrapKey},
		{key: symmetric(t, a256), algorithm: "CKM_AES_KEY_WRAP", seal: WrapKey, open: UnwrapKey},
		{key: symmetric(t, a256), algorithm: "CKM_AES_KEY_WRAP_PAD", seal: WrapKey, open: UnwrapKey},
	} {
		t.Run(c.algorithm, func(t *testing.T) {
			limits := Limits{SessionKey: len(text)}
			in := Input{Algorithm: c.algorithm, Value: text}
			if c.algorithm[len(c.algorithm)-3:] == "CBC" || c.algorithm[len(c.algorithm)-3:] == "PAD" && c.seal == Encrypt {
				in.IV = make([]byte, 16)
			}
			sealed, err := c.key.Do(c.seal, in, limits)
			if err != nil {
				t.Fatal(err)
			}
			back := Input{Algorithm: c.algorithm, Value: sealed.Value, IV: sealed.IV, Tag: sealed.Tag}
			got, err := c.key.Do(c.open, back, limits)
			if err != nil || !bytes.Equal(got.Value, text) {
				t.Fatalf("opened %q, %v", got.Value, err)
			}
			back.Value = slices.Clone(sealed.Value)
			back.Value[len(back.Value)-1] ^= 1
			got, err = c.key.Do(c.open, back, limits)
			if c.altered {
				if err != nil || len(got.Value) != len(text) || bytes.Equal(got.Value, text) {
					t.Errorf("altered: %d bytes, %v", len(got.Value), err)
				}
			} else if !errors.Is(err, ErrOpen) || got.Value != nil {
				t.Errorf("altered: %q, %v", got.Value, err)
			}
		})
	}
}

const (
	a128 = "000102030405060708090a0b0c0d0e0f"
	a192 = a128 + "1011121314151617"
	a256 = a192 + "18191a1b1c1d1e1f"
)

// TestKeyWrapVectors has the vectors of RFC 3394 sections 4.1 and 4.6, and RFC 5649 section 6.
func TestKeyWrapVectors(t *testing.T) {
	for _, c := range []struct{ secret, algorithm, text, wrapped string }{
		{a128, "A128KW", "00112233445566778899aabbccddeeff", "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"},
		{
			a256, "CKM_AES_KEY_WRAP", "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
			"28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
		},
	} {
		key := symmetric(t, c.secret)
		got, err := key.Do(WrapKey, Input{Algorithm: c.algorithm, Value: unhex(t, c.text)}, Limits{})
		if err != nil || hex.EncodeToString(got.Value) != c.wrapped {
			t.Errorf("%s: wrapped %x, %v", c.algorithm, got.Value, err)
		}
		got, err = key.Do(UnwrapKey, Input{Algorithm: c.algorithm, Value: unhex(t, c.wrapped)}, Limits{})
		if err != nil || hex.EncodeToString(got.Value) != c.text {
			t.Errorf("%s: unwrapped %x, %v", c.algorithm, got.Value, err)
		}
	}
}

// TestGCMVector has test case 4 of the GCM specification (McGrew and Viega, appendix B), which
// also authenticates data.
func TestGCMVector(t *testing.T) {
	in := Input{
		Algorithm: "A128GCM", IV: unhex(t, "cafebabefacedbaddecaf888"), Tag: unhex(t, "5bc94fbc3221a5db94fae95ae7121a47"),
		AAD: unhex(t, "feedfacedeadbeeffeedfacedeadbeefabaddad2"),
		Value: unhex(t, "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"+
			"21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"),
	}
	got, err := symmetric(t, "feffe9928665731c6d6a8f9467308308").Do(Decrypt, in, Limits{})
	want := "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" +
		"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
	if err != nil || hex.EncodeToString(got.Value) != want {
		t.Errorf("opened %x, %v", got.Value, err)
	}
}

// TestSignatures checks each signature with the verification of the standard library or of
// this package, and that no other digest or key verifies.
func TestSignatures(t *testing.T) {
	private := newRSA(t, 2048)
	on := func(curve elliptic.Curve) *Key {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return opened(t, private)
	}
	k256, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key       *Key
		algorithm string
		digest    int
	}{
		{opened(t, private), "RS256", 32},
		{opened(t, private), "RS384", 48},
		{opened(t, private), "RS512", 64},
		{opened(t, private), "PS256", 32},
		{opened(t, private), "PS384", 48},
		{opened(t, private), "PS512", 64},
		{on(elliptic.P256()), "ES256", 32},
		{on(elliptic.P384()), "ES384", 48},
		{on(elliptic.P521()), "ES512", 64},
		{opened(t, k256.ToECDSA()), "ES256K", 32},
		{symmetric(t, a256), "HS256", 32},
		{symmetric(t, a256+a128), "HS384", 48},
		{symmetric(t, a256+a256), "HS512", 64},
	} {
		t.Run(c.algorithm, func(t *testing.T) {
			digest := bytes.Repeat([]byte{7}, c.digest)
			signed, err := c.key.Do(Sign, Input{Algorithm: c.algorithm, Value: digest}, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			verify := Input{Algorithm: c.algorithm, Digest: digest, Value: signed.Value}
			if got, err := c.key.Do(Verify, verify, Limits{}); err != nil || !got.Valid {
				t.Errorf("the signature: %v, %v", got.Valid, err)
			}
			verify.Digest = bytes.Repeat([]byte{8}, c.digest)
			if got, err := c.key.Do(Verify, verify, Limits{}); err != nil || got.Valid {
				t.Errorf("another digest: %v, %v", got.Valid, err)
			}
			verify.Digest, verify.Value = digest, verify.Value[1:]
			if got, err := c.key.Do(Verify, verify, Limits{}); err != nil || got.Valid {
				t.Errorf("a shorter signature: %v, %v", got.Valid, err)
			}
			for _, op := range []Operation{Sign, Verify} {
				short := Input{Algorithm: c.algorithm, Value: digest[1:], Digest: digest[1:]}
				if _, err := c.key.Do(op, short, Limits{}); !errors.Is(err, ErrInput) {
					t.Errorf("%s of a shorter digest: %v", op, err)
				}
			}
		})
	}
	verifyWithStandardLibrary(t, private)
}

func verifyWithStandardLibrary(t *testing.T, private *rsa.PrivateKey) {
	t.Helper()
	digest := sha256.Sum256([]byte("text"))
	got, err := opened(t, private).Do(Sign, Input{Algorithm: "PS256", Value: digest[:]}, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPSS(&private.PublicKey, crypto.SHA256, digest[:], got.Value, &rsa.PSSOptions{SaltLength: 32}); err != nil {
		t.Error(err)
	}
}

// TestRefused checks that no key does what its type, its operations or the operator exclude.
func TestRefused(t *testing.T) {
	private := newRSA(t, 2048)
	digest := make([]byte, 32)
	for _, c := range []struct {
		name string
		key  *Key
		op   Operation
		in   Input
		want error
	}{
		{"operation that the key lacks", opened(t, private, "sign"), Decrypt, Input{Algorithm: "RSA-OAEP"}, ErrOperation},
		{"unwrapKey is not decrypt", opened(t, private, "decrypt"), UnwrapKey, Input{Algorithm: "RSA-OAEP"}, ErrOperation},
		{"RSA1_5 that is not permitted", opened(t, private), Decrypt, Input{Algorithm: "RSA1_5"}, ErrAlgorithm},
		{"RSA1_5 to encrypt", opened(t, private), Encrypt, Input{Algorithm: "RSA1_5"}, ErrAlgorithm},
		{"RSNULL", opened(t, private), Sign, Input{Algorithm: "RSNULL", Value: digest}, ErrAlgorithm},
		{"other capitals", opened(t, private), Sign, Input{Algorithm: "rs256", Value: digest}, ErrAlgorithm},
		{"algorithm of EC keys", opened(t, private), Sign, Input{Algorithm: "ES256", Value: digest}, ErrAlgorithm},
		{"too long for the modulus", opened(t, private), Encrypt, Input{Algorithm: "RSA-OAEP", Value: make([]byte, 256)}, ErrInput},
		{"ciphertext of another length", opened(t, private), Decrypt, Input{Algorithm: "RSA-OAEP", Value: make([]byte, 255)}, ErrOpen},
		{"nothing to open", opened(t, private), Decrypt, Input{Algorithm: "RSA-OAEP-256"}, ErrOpen},
		{"RSA with AAD", opened(t, private), Encrypt, Input{Algorithm: "RSA-OAEP", Value: digest, AAD: digest}, ErrInput},
		{"RSA with an IV", opened(t, private), Decrypt, Input{Algorithm: "RSA-OAEP", Value: digest, IV: digest}, ErrInput},
		{"a digest to sign beside a digest", opened(t, private), Sign, Input{Algorithm: "RS256", Value: digest, Digest: digest}, ErrInput},
		{"key wrap with AAD", symmetric(t, a128), WrapKey, Input{Algorithm: "A128KW", Value: digest, AAD: digest}, ErrInput},
		{"GCM with an IV of the caller", symmetric(t, a128), Encrypt, Input{Algorithm: "A128GCM", IV: make([]byte, 12)}, ErrInput},
		{"GCM without a tag", symmetric(t, a128), Decrypt, Input{Algorithm: "A128GCM", IV: make([]byte, 12)}, ErrInput},
		{"GCM of another size", symmetric(t, a128), Encrypt, Input{Algorithm: "A256GCM"}, ErrAlgorithm},
		{"CBC without an IV", symmetric(t, a128), Encrypt, Input{Algorithm: "A128CBC", Value: digest}, ErrInput},
		{"CBC of a part of a block", symmetric(t, a128), Encrypt, Input{Algorithm: "A128CBC", IV: make([]byte, 16), Value: digest[1:]}, ErrInput},
		{"CBC of nothing", symmetric(t, a128), Decrypt, Input{Algorithm: "A128CBC", IV: make([]byte, 16)}, ErrOpen},
		{"key wrap of a short key", symmetric(t, a128), WrapKey, Input{Algorithm: "A128KW", Value: make([]byte, 8)}, ErrInput},
		{"key wrap of another size", symmetric(t, a256), WrapKey, Input{Algorithm: "A128KW", Value: digest}, ErrAlgorithm},
		{"key wrap that encrypts", symmetric(t, a128), Encrypt, Input{Algorithm: "A128KW", Value: digest}, ErrAlgorithm},
		{"GCM that wraps", symmetric(t, a128), WrapKey, Input{Algorithm: "A128GCM", Value: digest}, ErrAlgorithm},
		{"HMAC with a short key", symmetric(t, a128), Sign, Input{Algorithm: "HS256", Value: digest}, ErrAlgorithm},
		{"no algorithm", symmetric(t, a128), Encrypt, Input{}, ErrAlgorithm},
		{"unknown operation", opened(t, private), "export", Input{Algorithm: "RSA-OAEP"}, ErrAlgorithm},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := c.key.Do(c.op, c.in, Limits{}); !errors.Is(err, c.want) || got.Value != nil || got.Valid {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// TestWrongPaddingIsSilent checks that RSA1_5 answers a wrong padding with random bytes, and a
// key of another length likewise.
func TestWrongPaddingIsSilent(t *testing.T) {
	private := newRSA(t, 2048)
	key, limits := opened(t, private), Limits{SessionKey: 32}
	short, err := rsa.EncryptPKCS1v15(rand.Reader, &private.PublicKey, make([]byte, 16)) //nolint:staticcheck // what is tested
	if err != nil {
		t.Fatal(err)
	}
	wrong := slices.Clone(short)
	wrong[100] ^= 1
	for _, value := range [][]byte{short, wrong} {
		first, err := key.Do(UnwrapKey, Input{Algorithm: "RSA1_5", Value: value}, limits)
		if err != nil || len(first.Value) != 32 {
			t.Fatalf("%d bytes, %v", len(first.Value), err)
		}
		second, err := key.Do(UnwrapKey, Input{Algorithm: "RSA1_5", Value: value}, limits)
		if err != nil || bytes.Equal(first.Value, second.Value) {
			t.Errorf("the bytes are not random: %v", err)
		}
	}
}

// FuzzDo checks that no input makes an operation panic, and that what it opens was sealed.
func FuzzDo(f *testing.F) {
	private := newRSA(f, 2048)
	keys := []*Key{opened(f, private), symmetric(f, a128), symmetric(f, a256)}
	f.Add("A128GCM", []byte("text"), []byte("123456789012"), []byte("1234567890123456"), byte(1), byte(0))
	f.Add("A256CBCPAD", make([]byte, 32), make([]byte, 16), []byte(nil), byte(2), byte(0))
	f.Add("RSA-OAEP", make([]byte, 256), []byte(nil), []byte(nil), byte(0), byte(3))
	f.Fuzz(func(t *testing.T, algorithm string, value, iv, tag []byte, key, op byte) {
		ops := Operations()
		in := Input{Algorithm: algorithm, Value: value, Digest: tag, IV: iv, Tag: tag}
		got, err := keys[int(key)%len(keys)].Do(ops[int(op)%len(ops)], in, Limits{})
		if err != nil && (got.Value != nil || got.Valid) {
			t.Errorf("%v with an output", err)
		}
	})
}

// BenchmarkDecrypt compares the operation with the bare one of crypto/rsa.
func BenchmarkDecrypt(b *testing.B) {
	private := newRSA(b, 3072)
	private.Precompute()
	key := opened(b, private)
	sealed, err := key.Do(Encrypt, Input{Algorithm: "RSA-OAEP-256", Value: make([]byte, 32)}, Limits{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			if _, err := rsa.DecryptOAEP(sha256.New(), nil, private, sealed.Value, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("keyuse", func(b *testing.B) {
		for b.Loop() {
			if _, err := key.Do(Decrypt, Input{Algorithm: "RSA-OAEP-256", Value: sealed.Value}, Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// An erased key performs nothing, and its numbers are overwritten.
func TestErase(t *testing.T) {
	private := newRSA(t, 2048)
	keys := map[string]*Key{
		"rsa": opened(t, private), "ec": opened(t, newECDSA(t)), "oct": symmetric(t, "000102030405060708090a0b0c0d0e0f"),
	}
	kept, _ := keys["rsa"].family.(rsaKey)
	numbers := kept.private.D.Bits()
	for name, key := range keys {
		key.Erase()
		key.Erase()
		if _, err := key.Do(Decrypt, Input{Algorithm: "RSA-OAEP-256"}, Limits{}); !errors.Is(err, ErrErased) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := key.DecryptOAEP(crypto.SHA256, nil); !errors.Is(err, ErrErased) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := key.Public(); !errors.Is(err, ErrErased) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if slices.ContainsFunc(numbers, func(word big.Word) bool { return word != 0 }) {
		t.Error("the private exponent is left")
	}
}

func newECDSA(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return private
}
