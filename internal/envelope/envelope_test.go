package envelope

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/go-jose/go-jose/v4"

	"skr/hsm"
	"skr/internal/jose/jwk"
	"skr/internal/secmem"
	"skr/test/rsakey"
)

const (
	id     = "https://v.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef"
	secret = "postgres://app:pa%73s@db/app"
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

// jwkOf returns the private JWK, as a released key has it, and the public one.
func jwkOf(t testing.TB, private crypto.Signer, ops ...string) ([]byte, jwk.Key) {
	t.Helper()
	key, err := jwk.FromPrivate(private)
	if err != nil {
		t.Fatal(err)
	}
	public, err := jwk.FromPublic(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	key.KeyOps, public.KeyOps, public.Kid = ops, ops, id
	text, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	return text, public
}

func oct(size int) ([]byte, []byte) {
	raw := make([]byte, size)
	_, _ = rand.Read(raw)
	return raw, fmt.Appendf(nil, `{"kty":"oct-HSM","k":%q}`, base64.RawURLEncoding.EncodeToString(raw))
}

func open(text string, key []byte) (string, error) {
	e, err := Parse([]byte(text))
	if err != nil {
		return "", err
	}
	held, err := e.open(id, key)
	if err != nil {
		return "", err
	}
	return reveal(held)
}

func reveal(held *secmem.Buffer) (opened string, err error) {
	err = held.Use(func(secret []byte) error { opened = string(secret); return nil })
	return opened, err
}

func wantOpen(t *testing.T, text string, key []byte) {
	t.Helper()
	if got, err := open(text, key); err != nil || got != secret {
		t.Errorf("opened %q, %v", got, err)
	}
}

func TestSealOpen(t *testing.T) {
	for name, private := range map[string]crypto.Signer{
		"RSA": rsaKey(), "P-256": ecKey(t, elliptic.P256()), "P-384": ecKey(t, elliptic.P384()), "P-521": ecKey(t, elliptic.P521()),
	} {
		t.Run(name, func(t *testing.T) {
			key, public := jwkOf(t, private)
			text, err := Seal(public, []byte(secret))
			if err != nil {
				t.Fatal(err)
			}
			wantOpen(t, text, key)
			wantOpen(t, " "+text+"\r\n", key)
			e, err := Parse([]byte(text))
			if err != nil || e.KeyID() != id {
				t.Errorf("the envelope names %q, %v", e.KeyID(), err)
			}
			if name, version := e.Key(); name != "k" || version != "0123456789abcdef0123456789abcdef" {
				t.Errorf("the envelope names %q in version %q", name, version)
			}
			other, _ := jwkOf(t, ecKey(t, elliptic.P256()))
			if _, err := open(text, other); err == nil {
				t.Error("another key opens it")
			}
		})
	}
}

// A released key opens what was sealed to it.
func TestOpenReleasedKey(t *testing.T) {
	text, public := jwkOf(t, rsaKey())
	public.Kid = ""
	sealed, err := Seal(public, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	key, err := hsm.ReadKey(text)
	if err != nil {
		t.Fatal(err)
	}
	e, err := Parse([]byte(sealed))
	if err != nil {
		t.Fatal(err)
	}
	held, err := e.Open(key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := reveal(held); got != secret || err != nil {
		t.Errorf("opened %q, %v", got, err)
	}
	key.Wipe()
	if _, err := e.Open(key); !errors.Is(err, secmem.ErrWiped) {
		t.Errorf("a wiped key: %v", err)
	}
}

// Every algorithm of the list opens, as another program may choose any of them.
func TestOpenAlgorithms(t *testing.T) {
	rsaText, _ := jwkOf(t, rsaKey())
	private := ecKey(t, elliptic.P384())
	ecText, _ := jwkOf(t, private)
	raw, text := map[int][]byte{}, map[int][]byte{}
	for _, size := range []int{16, 24, 32, 48, 64} {
		raw[size], text[size] = oct(size)
	}
	direct := map[jose.ContentEncryption]int{
		jose.A128GCM: 16, jose.A192GCM: 24, jose.A256GCM: 32, jose.A128CBC_HS256: 32, jose.A192CBC_HS384: 48, jose.A256CBC_HS512: 64,
	}
	wraps := map[jose.KeyAlgorithm]int{jose.A128KW: 16, jose.A192KW: 24, jose.A256KW: 32}
	for _, alg := range keyAlgorithms {
		for _, enc := range contentAlgorithms {
			size := wraps[alg]
			recipient, key := jose.Recipient{Algorithm: alg}, text[size]
			switch {
			case strings.HasPrefix(string(alg), "RSA"):
				recipient.Key, key = rsaKey().Public(), rsaText
			case strings.HasPrefix(string(alg), "ECDH"):
				recipient.Key, key = private.Public(), ecText
			case alg == jose.DIRECT:
				recipient.Key, key = raw[direct[enc]], text[direct[enc]]
			default:
				recipient.Key = raw[size]
			}
			wantOpen(t, seal2(t, enc, recipient, nil), key)
		}
	}
}

// seal2 seals with go-jose alone.
func seal2(t testing.TB, enc jose.ContentEncryption, recipient jose.Recipient, options *jose.EncrypterOptions) string {
	t.Helper()
	encrypter, err := jose.NewEncrypter(enc, recipient, options)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := encrypter.Encrypt([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	text, err := sealed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// byHand makes an envelope with the standard library alone (RFC 7516 section 5.1).
func byHand(t testing.TB, header string) string {
	t.Helper()
	cek, iv := make([]byte, 32), make([]byte, 12)
	_, _ = rand.Read(cek)
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &rsaKey().PublicKey, cek, nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(cek)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	protected := b64([]byte(header))
	sealed := aead.Seal(nil, iv, []byte(secret), []byte(protected))
	end := len(sealed) - aead.Overhead()
	return strings.Join([]string{protected, b64(wrapped), b64(iv), b64(sealed[:end]), b64(sealed[end:])}, ".")
}

func TestHeader(t *testing.T) {
	key, _ := jwkOf(t, rsaKey())
	for _, more := range []string{
		``, `,"typ":"JOSE"`, `,"cty":"text/plain"`, `,"kid":"` + id + `"`, `,"kid":"https://v.vault.azure.net/keys/k"`,
		`,"kid":"https://replica.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef"`,
	} {
		wantOpen(t, byHand(t, `{"alg":"RSA-OAEP-256","enc":"A256GCM"`+more+`}`), key)
	}
	for header, want := range map[string]string{
		`{"alg":"RSA-OAEP-256","enc":"A256GCM","zip":"DEF"}`:                              `unknown member`,
		`{"alg":"RSA-OAEP-256","enc":"A256GCM","crit":["exp"],"exp":1}`:                   `unknown member`,
		`{"alg":"RSA-OAEP-256","enc":"A256GCM","jku":"https://evil.example"}`:             `unknown member`,
		`{"alg":"RSA-OAEP-256","enc":"A256GCM","jwk":{"kty":"RSA"}}`:                      `unknown member`,
		`{"alg":"RSA-OAEP-256","enc":"A256GCM","alg":"dir"}`:                              `"alg"`,
		`{"alg":"RSA-OAEP-256","Enc":"A256GCM"}`:                                          `in other capitals`,
		`{"alg":"RSA1_5","enc":"A256GCM"}`:                                                `"RSA1_5" is none of`,
		`{"alg":"none","enc":"A256GCM"}`:                                                  `"none" is none of`,
		`{"enc":"A256GCM"}`:                                                               `"" is none of`,
		`{"alg":"RSA-OAEP-256","enc":"none"}`:                                             `"none" is none of`,
		`{"alg":"RSA-OAEP-256"}`:                                                          `"" is none of`,
		`{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2s":"AA","p2c":100000000}`:         `unknown member`,
		`{"alg":"dir","enc":"A256GCM"}`:                                                   `does not fit the algorithm dir`,
		`{"alg":"A256KW","enc":"A256GCM"}`:                                                `does not fit a key of type RSA`,
		`{"alg":"RSA-OAEP","enc":"A256GCM"}`:                                              `does not open`,
		`{"alg":"RSA-OAEP-256","enc":"A128GCM"}`:                                          `does not open`,
		`{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":"https://v.vault.azure.net/keys/j"}`: `names another key`,
		`{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":"k"}`:                                `names another key`,
		`{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":"` + id + `0"}`:                      `names another key`,
		`{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":7}`:                                  `"kid"`,
		`[]`: `header`,
		`{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"` + strings.Repeat("a", maxHeader) + `"}`: `longer than`,
	} {
		if _, err := open(byHand(t, header), key); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.90s: %v; want %s", header, err, want)
		}
	}
}

// No bit of an envelope can be changed.
func TestTampered(t *testing.T) {
	key, public := jwkOf(t, rsaKey())
	text, err := Seal(public, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := 0; i < len(text); i += 3 {
		changed := []byte(text)
		changed[i] = letters[(strings.IndexByte(letters, text[i])+1)%len(letters)]
		if got, err := open(string(changed), key); err == nil {
			t.Errorf("opened %q with another character at %d", got, i)
		}
	}
	parts := strings.Split(text, ".")
	for i := range parts {
		without := slices.Clone(parts)
		without[i] = ""
		if _, err := open(strings.Join(without, "."), key); err == nil {
			t.Errorf("opened without part %d", i+1)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "five parts",
		"a.b.c.d":                            "five parts",
		"a.b.c.d.e.f":                        "five parts",
		`{"protected":"e30"}`:                "is JSON",
		"e30=....":                           "part 1 is not base64url",
		"e30.\n...":                          "part 2 is not base64url",
		strings.Repeat("a", MaxText+1):       "longer than",
		strings.Repeat(".", MaxText):         "parts",
		"e31....":                            "part 1 is not base64url",
		b64([]byte(`{"alg":"dir"`)) + "....": "header",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v; want %q", text, err, want)
		}
	}
}

func TestSealRefuses(t *testing.T) {
	_, public := jwkOf(t, rsaKey())
	_, signs := jwkOf(t, rsaKey(), "sign", "verify")
	k1, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	_, bitcoin := jwkOf(t, k1.ToECDSA())
	long := public
	long.Kid = strings.Repeat("k", maxHeader)
	for _, c := range []struct {
		key    jwk.Key
		secret string
		want   string
	}{
		{public, "", "is empty"},
		{public, strings.Repeat("s", MaxSecret+1), "more than"},
		{jwk.Key{Kty: "oct-HSM"}, secret, "symmetric"},
		{jwk.Key{Kty: "RSA"}, secret, `"n"`},
		{signs, secret, "key_ops"},
		{bitcoin, secret, "P-256K"},
		{long, secret, "too long"},
	} {
		if text, err := Seal(c.key, []byte(c.secret)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("sealed %.20q, %v; want %q", text, err, c.want)
		}
	}
	text, err := Seal(public, make([]byte, MaxSecret))
	if err != nil || len(text) > MaxText {
		t.Errorf("the largest secret: %d characters, %v", len(text), err)
	}
}

// Keys that the vault made for signatures open nothing, except EC keys, which have no other
// operations.
func TestOperations(t *testing.T) {
	_, public := jwkOf(t, rsaKey())
	text, err := Seal(public, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	signs, _ := jwkOf(t, rsaKey(), "sign")
	if _, err := open(text, signs); err == nil || !strings.Contains(err.Error(), "key_ops") {
		t.Errorf("a key for signatures: %v", err)
	}
	unwraps, _ := jwkOf(t, rsaKey(), "sign", "unwrapKey")
	wantOpen(t, text, unwraps)
	ec, public := jwkOf(t, ecKey(t, elliptic.P256()), "sign", "verify")
	if text, err = Seal(public, []byte(secret)); err != nil {
		t.Fatal(err)
	}
	wantOpen(t, text, ec)
}

// A key of another size than the algorithm names does not open it.
func TestSizes(t *testing.T) {
	raw, key := oct(32)
	sealed := seal2(t, jose.A256GCM, jose.Recipient{Algorithm: jose.A128KW, Key: raw}, nil)
	if _, err := open(sealed, key); err == nil || !strings.Contains(err.Error(), "does not fit") {
		t.Errorf("A128KW with 32 bytes: %v", err)
	}
	long, _ := oct(16)
	sealed = seal2(t, jose.A128GCM, jose.Recipient{Algorithm: jose.DIRECT, Key: long}, nil)
	if _, err := open(sealed, key); !errors.Is(err, ErrOpen) {
		t.Errorf("A128GCM with 32 bytes: %v", err)
	}
}

// Compressed content could grow without bound.
func TestCompressed(t *testing.T) {
	recipient := jose.Recipient{Algorithm: jose.RSA_OAEP_256, Key: rsaKey().Public()}
	text := seal2(t, jose.A256GCM, recipient, &jose.EncrypterOptions{Compression: jose.DEFLATE})
	if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), "unknown member") {
		t.Errorf("a compressed envelope: %v", err)
	}
}

// jose4j made these, as go-jose/v4 quotes them in jwe_test.go, TestSampleJose4jJWEMessagesECDH.
const jose4jKey = `{"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",` +
	`"y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck","d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}`

var jose4j = []string{
	"eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTEyOENCQy1IUzI1NiIsImVwayI6eyJrdHkiOiJFQyIsIngiOiJTQzAtRnJHUkVvVkpKSmg1TGhORmZqZnFXMC1XSUFyd3RZMzJzQ" +
		"mFQVVh3IiwieSI6ImFQMWlPRENveU9laTVyS1l2VENMNlRMZFN5UEdUN0djMnFsRnBwNXdiWFEiLCJjcnYiOiJQLTI1NiJ9fQ..3mifklTnTTGuA_etSUBBCw.dj8KFM8O" +
		"lrQ3rT35nHcHZ7A5p84VB2OZb054ghSjS-M.KOIgnJjz87LGqMtikXGxXw",
	"eyJhbGciOiJFQ0RILUVTK0EyNTZLVyIsImVuYyI6IkExMjhDQkMtSFMyNTYiLCJlcGsiOnsia3R5IjoiRUMiLCJ4IjoiOElUemg3VVFaaUthTWtfME9qX1hFaHZENXpUWjE2T" +
		"i13WVdjeTJYUC1tdyIsInkiOiJPNUJiVEk0bUFpU005ZmpCejBRU3pXaU5vbnl3cWlQLUN0RGgwdnNGYXNRIiwiY3J2IjoiUC0yNTYifX0.D3DP3wqPvJv4TYYfhnfrOG6n" +
		"sM-MMH_CqGfnOGjgdXHNF7xRwEJBOA.WL9Kz3gNYA7S5Rs5mKcXmA.EmQkXhO_nFqAwxJWaM0DH4s3pmCscZovB8YWJ3Ru4N8.Bf88uzwfxiyTjpejU5B0Ng",
}

func TestOtherImplementation(t *testing.T) {
	for _, text := range jose4j {
		if got, err := open(text, []byte(jose4jKey)); err != nil || got != "Lorem ipsum dolor sit amet." {
			t.Errorf("opened %q, %v", got, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	key, public := jwkOf(f, rsaKey())
	text, err := Seal(public, []byte(secret))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(byHand(f, `{"alg":"RSA-OAEP-256","enc":"A256GCM","zip":"DEF"}`))
	for _, text := range jose4j {
		f.Add(text)
	}
	off := strings.Replace(jose4j[0], ".", "", 1) // four parts
	point := b64([]byte(`{"alg":"ECDH-ES","enc":"A256GCM","epk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`)) + "..AAAA.AAAA.AAAA"
	f.Add(off)
	f.Add(point) // not on the curve
	f.Add(b64([]byte(`{"alg":"ECDH-ES","enc":"A256GCM","epk":{"kty":"OKP","crv":"X25519","x":"AA"}}`)) + "..AAAA.AAAA.AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		for _, key := range [][]byte{key, []byte(jose4jKey)} {
			got, err := open(text, key)
			if err == nil && got != secret && !strings.HasPrefix(got, "Lorem") {
				t.Fatalf("opened %q", got)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Fatalf("the error tells the secret: %v", err)
			}
		}
	})
}
