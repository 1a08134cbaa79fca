package hsm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"skr/internal/jose/jwk"
)

func pemText(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// sec1 is an ECPrivateKey without PKCS #8, with its curve.
func sec1(t testing.TB, key *ecdsa.PrivateKey, explicit bool) []byte {
	t.Helper()
	scalar, err := jwk.ScalarBytes(key)
	if err != nil {
		t.Fatal(err)
	}
	var b cryptobyte.Builder
	ecDER{key: key, inner: true, explicit: explicit}.private(t, &b, scalar)
	return b.BytesOrPanic()
}

type keyFile struct {
	data []byte
	key  crypto.PrivateKey
}

func keyFiles(t testing.TB) map[string]keyFile {
	t.Helper()
	private := newRSA(t, 2048)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pemText("CERTIFICATE", []byte("ignored"))
	files := map[string]keyFile{
		"RSA, PKCS #8":              {pemText("PRIVATE KEY", pkcs8), private},
		"RSA, PKCS #1":              {pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private)), private},
		"RSA after its certificate": {append(certificate, pemText("PRIVATE KEY", pkcs8)...), private},
	}
	for name, key := range curveKeys(t) {
		parameters := pemText("EC PARAMETERS", []byte("as openssl ecparam writes them"))
		files[name+", PKCS #8"] = keyFile{pemText("PRIVATE KEY", ecDER{key: key}.bytes(t)), key}
		files[name+", explicit PKCS #8"] = keyFile{pemText("PRIVATE KEY", ecDER{key: key, explicit: true}.bytes(t)), key}
		files[name+", SEC 1"] = keyFile{append(parameters, pemText("EC PRIVATE KEY", sec1(t, key, false))...), key}
		files[name+", explicit SEC 1"] = keyFile{pemText("EC PRIVATE KEY", sec1(t, key, true)), key}
		written, err := jwk.FromPrivate(key)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(written)
		if err != nil {
			t.Fatal(err)
		}
		files[name+", JWK"] = keyFile{text, key}
	}
	return files
}

// Editors and shells on Windows write the same key with different bytes.
func TestReadKeyForms(t *testing.T) {
	private := newRSA(t, 2048)
	written, err := jwk.FromPrivate(private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(written)
	if err != nil {
		t.Fatal(err)
	}
	inPEM := string(pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private)))
	wide := func(text string) string {
		return "\xff\xfe" + strings.Join(strings.Split(text, ""), "\x00") + "\x00"
	}
	for name, file := range map[string]string{
		"PEM, BOM": "\ufeff" + inPEM, "PEM, CRLF": strings.ReplaceAll(inPEM, "\n", "\r\n"), "PEM, UTF-16": wide(inPEM),
		"JWK, BOM": "\ufeff" + string(text), "JWK, UTF-16": wide(string(text)), "JWK in an import request": `{"key":` + string(text) + `,"hsm":true}`,
	} {
		data := []byte(file)
		key, err := ReadKey(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkPEM(t, key, private)
		key.Wipe()
		if strings.Trim(string(data), "\xef\xbb\xbf\x00") != "" {
			t.Errorf("%s: the file's bytes remain in memory", name)
		}
	}
}

func TestReadKey(t *testing.T) {
	for name, file := range keyFiles(t) {
		t.Run(name, func(t *testing.T) {
			key, err := ReadKey(file.data)
			if err != nil {
				t.Fatal(err)
			}
			defer key.Wipe()
			checkPEM(t, key, file.key)
			if bytes.ContainsFunc(file.data, func(r rune) bool { return r != 0 }) {
				t.Error("the file's bytes were not overwritten")
			}
			public, err := key.Public()
			if err != nil || public.D != "" || public.P != "" {
				t.Errorf("the public part contains private members, or error %v", err)
			}
			got, err := public.PublicKey()
			want := file.key.(interface{ Public() crypto.PublicKey }).Public()
			if err != nil || !got.(interface{ Equal(crypto.PublicKey) bool }).Equal(want) {
				t.Errorf("got a different public part: %v", err)
			}
		})
	}
}

func TestReadSymmetricKey(t *testing.T) {
	for size, good := range map[int]bool{0: false, 15: false, 16: true, 24: true, 32: true, 33: false, 64: false} {
		secret := bytes.Repeat([]byte{7}, size)
		text := `{"kty":"oct","k":"` + base64.RawURLEncoding.EncodeToString(secret) + `"}`
		for form, read := range map[string]func() (*Key, error){
			"bytes": func() (*Key, error) { return ReadSecret(secret) },
			"JWK":   func() (*Key, error) { return ReadKey([]byte(text)) },
		} {
			key, err := read()
			if (err == nil) != good {
				t.Errorf("%d %s: %v", size, form, err)
			}
			if good {
				if out, err := key.JWK(); err != nil || !strings.Contains(string(out), text[len(`{"kty":"oct",`):len(text)-1]) {
					t.Errorf("%d %s: the key changed, %v", size, form, err)
				}
			}
		}
	}
}

func TestReadKeyRefuses(t *testing.T) {
	key := newRSA(t, 2048)
	one := pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
	public, err := PublicPEM(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	legacy := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"DEK-Info": "AES-256-CBC,00"}, Bytes: []byte{1}})
	for says, data := range map[string][]byte{
		"neither a private key in PEM nor a JWK": []byte("something"),
		"neither a private key in PEM":           public,
		"more than one private key":              append(bytes.Clone(one), one...),
		"is encrypted":                           pemText("ENCRYPTED PRIVATE KEY", []byte{1}),
		`"RSA PRIVATE KEY" is encrypted`:         legacy,
		"of a kind that is not supported":        pemText("OPENSSH PRIVATE KEY", []byte{1}),
		"is not PKCS #8":                         pemText("PRIVATE KEY", []byte{1}),
		"is not a consistent RSA":                pemText("RSA PRIVATE KEY", []byte{1}),
		"that names its curve":                   pemText("EC PRIVATE KEY", []byte{0x30, 0}),
		`member "kty" is missing`:                []byte(`{"d":"AQAB"}`),
		`key type "OKP" has none`:                []byte(`{"kty":"OKP","crv":"Ed25519","d":"AQAB"}`),
		`member "k" is not base64url`:            []byte(`{"kty":"oct","k":"+"}`),
	} {
		if _, err := ReadKey(data); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want %q", err, says)
		}
	}
}

// PublicPEM writes what crypto/x509 and openssl write, on the curves that these support.
func TestPublicPEM(t *testing.T) {
	keys := map[string]crypto.PublicKey{"RSA": &newRSA(t, 2048).PublicKey}
	for name, key := range curveKeys(t) {
		keys[name] = &key.PublicKey
	}
	for name, key := range keys {
		text, err := PublicPEM(key)
		block, _ := pem.Decode(text)
		if err != nil || block == nil || block.Type != "PUBLIC KEY" {
			t.Fatalf("%s: %q, %v", name, text, err)
		}
		if name == "P-256K" {
			continue // test/script compares with openssl
		}
		if want, err := x509.MarshalPKIXPublicKey(key); err != nil || !bytes.Equal(want, block.Bytes) {
			t.Errorf("%s: differs from crypto/x509's form, %v", name, err)
		}
	}
	if _, err := PublicPEM("text"); err == nil {
		t.Error("PublicPEM accepts a string")
	}
}

func FuzzReadKey(f *testing.F) {
	for _, file := range keyFiles(f) {
		f.Add(file.data)
	}
	f.Add([]byte(`{"kty":"oct-HSM","k":"AAAAAAAAAAAAAAAAAAAAAA"}`))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := ReadKey(bytes.Clone(data))
		if err != nil {
			return
		}
		text, err := key.JWK()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadKey(text); err != nil {
			t.Fatalf("a key that was read cannot be read again: %v", err)
		}
	})
}
