package e2e

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"skr/api"
)

func publicOf(t *testing.T, key *api.KeptKey) *rsa.PublicKey {
	t.Helper()
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		t.Fatalf("the public part is %T", key.Public())
	}
	return public
}

// sealJWE makes an envelope with another library's own defaults.
func sealJWE(t *testing.T, public *rsa.PublicKey, text string) string {
	t.Helper()
	encrypter, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.RSA_OAEP_256, Key: public}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := encrypter.Encrypt([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	compact, err := sealed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// sealer makes sealed secrets as `secret seal` of guest-components does
// (confidential-data-hub/docs/SEALED_SECRET.md), for a key of Azure.
type sealer struct{ key *ecdsa.PrivateKey }

func newSealer(t *testing.T) sealer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return sealer{key}
}

func (s sealer) public(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(s.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func (s sealer) seal(t *testing.T, public *rsa.PublicKey, id, text string) string {
	t.Helper()
	key, iv := make([]byte, 32), make([]byte, 12)
	_, _ = rand.Read(key)
	_, _ = rand.Read(iv)
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	mode, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	base := base64.StdEncoding.EncodeToString
	payload, err := json.Marshal(map[string]any{
		"version": "0.1.0", "type": "envelope", "provider": "azure", "key_id": id, "encrypted_key": base(wrapped),
		"encrypted_data": base(mode.Seal(nil, iv, []byte(text), nil)), "wrap_type": "A256GCM", "iv": base(iv),
		"provider_settings": map[string]any{}, "annotations": map[string]any{"wrap_alg": "RSA-OAEP-256"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.sign(t, string(payload))
}

func (s sealer) sign(t *testing.T, payload string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: s.key, KeyID: "kbs:///default/signing-key/sealed-secret"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return "sealed." + compact
}

// alter changes a byte of the payload.
func alter(text string) string {
	changed := []byte(text)
	changed[len(text)/2] ^= 1
	return string(changed)
}
