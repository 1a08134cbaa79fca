package keywrap

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"skr/test/rsakey"
)

var algorithms = []Algorithm{CKM, RSA256, RSA384}

var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsakey.Generate(2048)
	if err != nil {
		panic(err)
	}
	return key
})

// opener is a Decrypter that keeps the last plaintext, so that the test sees it wiped.
type opener struct {
	key    *rsa.PrivateKey
	opened []byte
}

func (o *opener) DecryptOAEP(hash crypto.Hash, ciphertext []byte) (plaintext []byte, err error) {
	o.opened, err = o.key.Decrypt(nil, ciphertext, &rsa.OAEPOptions{Hash: hash})
	return o.opened, err
}

func (o *opener) Size() int { return o.key.Size() }

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), minPayload, 1300).Draw(t, "payload")
		algorithm := rapid.SampledFrom(algorithms).Draw(t, "algorithm")
		wrapped, err := Wrap(rand.Reader, &testKey().PublicKey, algorithm, payload)
		if err != nil {
			t.Fatal(err)
		}
		if want := 256 + 8 + (len(payload)+7)/8*8; len(wrapped) != want {
			t.Fatalf("wrapped to %d bytes, want %d", len(wrapped), want)
		}
		d := &opener{key: testKey()}
		got, err := Unwrap(d, algorithm, wrapped)
		if err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("got %x, %v", got, err)
		}
		if len(d.opened) != aesKeySize || slices.Max(d.opened) != 0 {
			t.Fatal("the ephemeral AES key was not wiped")
		}
	})
}

// TestLengthsOfRecordedKeys compares with recorded vault answers: 256 bytes plus the
// wrapped PKCS #8 of RSA-2048, P-256K with a named curve, and P-256K with parameters.
func TestLengthsOfRecordedKeys(t *testing.T) {
	for payload, want := range map[int]int{1217: 1488, 135: 400, 287: 552, 32: 296, 64: 328} {
		wrapped, err := Wrap(nil, &testKey().PublicKey, CKM, make([]byte, payload))
		if err != nil || len(wrapped) != want {
			t.Errorf("a payload of %d bytes is wrapped to %d, %v; want %d", payload, len(wrapped), err, want)
		}
	}
}

func TestUnwrapRefuses(t *testing.T) {
	payload := []byte("a payload that no error may repeat")
	wrapped, err := Wrap(rand.Reader, &testKey().PublicKey, RSA256, payload)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsakey.Generate(2048)
	if err != nil {
		t.Fatal(err)
	}
	larger, err := rsakey.Generate(3072)
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(at int) []byte {
		c := bytes.Clone(wrapped)
		c[at] ^= 1
		return c
	}
	shortAES, err := rsa.EncryptOAEP(RSA256.newHash(), rand.Reader, &testKey().PublicKey, make([]byte, 16), nil)
	if err != nil {
		t.Fatal(err)
	}
	shortKWP, err := wrapPayload(make([]byte, 16), payload)
	if err != nil {
		t.Fatal(err)
	}
	labelled, err := rsa.EncryptOAEP(RSA256.newHash(), rand.Reader, &testKey().PublicKey, make([]byte, 32), []byte("label"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key        *rsa.PrivateKey
		algorithm  Algorithm
		ciphertext []byte
		want       error
	}{
		"empty":               {testKey(), RSA256, nil, ErrLength},
		"first part only":     {testKey(), RSA256, wrapped[:256], ErrLength},
		"first part short":    {testKey(), RSA256, wrapped[:255], ErrLength},
		"second part short":   {testKey(), RSA256, wrapped[:272], ErrLength},
		"cut by one":          {testKey(), RSA256, wrapped[:len(wrapped)-1], ErrLength},
		"cut by eight":        {testKey(), RSA256, wrapped[:len(wrapped)-8], ErrIntegrity},
		"one more":            {testKey(), RSA256, append(bytes.Clone(wrapped), 0), ErrLength},
		"eight more":          {testKey(), RSA256, append(bytes.Clone(wrapped), make([]byte, 8)...), ErrIntegrity},
		"too long":            {testKey(), RSA256, append(bytes.Clone(wrapped), make([]byte, 8192)...), ErrLength},
		"flipped first":       {testKey(), RSA256, flipped(0), ErrKEK},
		"flipped last of RSA": {testKey(), RSA256, flipped(255), ErrKEK},
		"flipped KWP":         {testKey(), RSA256, flipped(256), ErrIntegrity},
		"flipped last":        {testKey(), RSA256, flipped(len(wrapped) - 1), ErrIntegrity},
		"another hash":        {testKey(), RSA384, wrapped, ErrKEK},
		"SHA-1":               {testKey(), CKM, wrapped, ErrKEK},
		"another KEK":         {other, RSA256, wrapped, ErrKEK},
		"a larger KEK":        {larger, RSA256, wrapped, ErrLength},
		"AES-128 inside":      {testKey(), RSA256, slices.Concat(shortAES, shortKWP), ErrIntegrity},
		"a label":             {testKey(), RSA256, slices.Concat(labelled, wrapped[256:]), ErrKEK},
	} {
		got, err := Unwrap(&opener{key: c.key}, c.algorithm, c.ciphertext)
		if !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: got %x, %v; want %v", name, got, err, c.want)
		}
		if err != nil && strings.Contains(fmt.Sprintf("%v %+v", err, err), string(payload)) {
			t.Errorf("%s: the error contains the payload", name)
		}
	}
}

func TestUnknownAlgorithm(t *testing.T) {
	for _, text := range []string{"", "RSA_AES_KEY_WRAP_512", "ckm_rsa_aes_key_wrap", "dir"} {
		if a, err := ParseAlgorithm(text); err == nil {
			t.Errorf("ParseAlgorithm(%q) = %q", text, a)
		}
		if Algorithm(text).Hash() != 0 {
			t.Errorf("%q has a hash", text)
		}
		if _, err := Wrap(nil, &testKey().PublicKey, Algorithm(text), make([]byte, 32)); err == nil {
			t.Errorf("Wrap accepts %q", text)
		}
		if _, err := Unwrap(&opener{key: testKey()}, Algorithm(text), make([]byte, 300)); err == nil {
			t.Errorf("Unwrap accepts %q", text)
		}
	}
	for text, want := range map[string]crypto.Hash{
		"CKM_RSA_AES_KEY_WRAP": crypto.SHA1, "RSA_AES_KEY_WRAP_256": crypto.SHA256, "RSA_AES_KEY_WRAP_384": crypto.SHA384,
	} {
		a, err := ParseAlgorithm(text)
		if err != nil || a.Hash() != want || a.newHash().Size() != want.Size() {
			t.Errorf("ParseAlgorithm(%q) = %q, %v with %v", text, a, err, a.Hash())
		}
	}
}

func TestWrapRefuses(t *testing.T) {
	for _, size := range []int{0, 1, 15, maxPayload + 1} {
		if _, err := Wrap(nil, &testKey().PublicKey, CKM, make([]byte, size)); err == nil {
			t.Errorf("a payload of %d bytes is wrapped", size)
		}
	}
	if _, err := Wrap(bytes.NewReader(nil), &testKey().PublicKey, CKM, make([]byte, 32)); err == nil {
		t.Error("wrapped without randomness")
	}
}

// TestAgainstOpenSSL checks that AES-KWP of the same payload under the same key gives the
// same ciphertext: it uses no randomness.
func TestAgainstOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed: AES-KWP is not compared with it")
	}
	aesKey := []byte("0123456789abcdef0123456789abcdef")
	for size := minPayload; size < minPayload+20; size++ {
		payload := bytes.Repeat([]byte{byte(size)}, size)
		ours, err := wrapPayload(aesKey, payload)
		if err != nil {
			t.Fatal(err)
		}
		command := exec.CommandContext(t.Context(), openssl, "enc", "-e", "-id-aes256-wrap-pad",
			"-K", hex.EncodeToString(aesKey), "-iv", "A65959A6")
		command.Stdin = bytes.NewReader(payload)
		theirs, err := command.Output()
		if err != nil {
			t.Skipf("openssl enc -id-aes256-wrap-pad does not run here: %v", err)
		}
		if !bytes.Equal(ours, theirs) {
			t.Fatalf("%d bytes: ours %x, openssl %x", size, ours, theirs)
		}
		if again, err := unwrapPayload(aesKey, theirs); err != nil || !bytes.Equal(again, payload) {
			t.Fatalf("%d bytes: unwrapping openssl's: %v", size, err)
		}
	}
}

// TestAES192IsRefused checks AES-192, which the examples of RFC 5649 section 6 use. Release
// keys never use it, and the library does not support it.
func TestAES192IsRefused(t *testing.T) {
	if _, err := wrapPayload(make([]byte, 24), make([]byte, 20)); err == nil {
		t.Error("an AES-192 key wraps")
	}
	if _, err := unwrapPayload(make([]byte, 24), make([]byte, 32)); !errors.Is(err, ErrIntegrity) {
		t.Errorf("got %v", err)
	}
}

func FuzzUnwrap(f *testing.F) {
	wrapped, err := Wrap(rand.Reader, &testKey().PublicKey, RSA256, make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{}, []byte{})
	f.Add(wrapped[:256], wrapped[256:])
	f.Fuzz(func(t *testing.T, first, second []byte) {
		if got, err := Unwrap(&opener{key: testKey()}, RSA256, slices.Concat(first, second)); err == nil && len(got) < minPayload {
			t.Fatalf("unwrapped to %d bytes", len(got))
		}
	})
}
