package coco

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"skr/hsm"
	"skr/internal/jose/jwk"
	"skr/internal/jose/jws"
	"skr/internal/keyuse"
	"skr/internal/secmem"
	"skr/internal/strictjson"
)

const (
	sealedPrefix = "sealed."
	maxSealed    = 2 << 20 // bytes, of a secret of about 1 MiB
	maxSigner    = 16 << 10
)

// sealedSecret is the payload of a sealed secret of the type envelope, whose signature was
// verified (guest-components, confidential-data-hub/docs/SEALED_SECRET.md). Provider azure means
// that KeyID is the identifier of a key in Key Vault or Managed HSM.
type sealedSecret struct {
	Version          string         `json:"version"`
	Type             string         `json:"type"`
	Provider         string         `json:"provider"`
	KeyID            string         `json:"key_id"`
	EncryptedKey     string         `json:"encrypted_key"`
	EncryptedData    string         `json:"encrypted_data"`
	WrapType         string         `json:"wrap_type"`
	IV               string         `json:"iv"`
	ProviderSettings map[string]any `json:"provider_settings"`
	Annotations      map[string]any `json:"annotations"`

	key, data, iv []byte
}

const (
	provider    = "azure"
	wrapAlg     = "wrap_alg" // the annotation with the algorithm of the encrypted key
	defaultWrap = "RSA-OAEP-256"
)

// parseSealed parses a sealed secret, if the signer has signed it. Nothing of the payload is
// read before.
func parseSealed(text []byte, signer crypto.PublicKey) (*sealedSecret, error) {
	compact, found := strings.CutPrefix(string(bytes.TrimSpace(text)), sealedPrefix)
	if !found {
		return nil, fmt.Errorf("a sealed secret begins with %q", sealedPrefix)
	}
	signed, err := jws.Parse(compact, maxSealed)
	if err != nil {
		return nil, fmt.Errorf("the sealed secret %w", err)
	}
	if err := signed.Verify(signer); err != nil {
		return nil, fmt.Errorf("the sealed secret is not signed with the key of signer: %w", err)
	}
	var s sealedSecret
	if err := (strictjson.Decoder{Bytes: maxSealed, Depth: 3, Values: 256, KnownOnly: true}).Decode(signed.Payload, &s); err != nil {
		return nil, fmt.Errorf("the payload of the sealed secret: %w", err)
	}
	return &s, s.check()
}

func (s *sealedSecret) check() error {
	for _, member := range []struct{ name, got, want string }{
		{"version", s.Version, "0.1.0"}, {"type", s.Type, "envelope"}, {"provider", s.Provider, provider}, {"wrap_type", s.WrapType, "A256GCM"},
	} {
		if member.got != member.want {
			return fmt.Errorf("%s is %.40q and must be %q", member.name, member.got, member.want)
		}
	}
	for _, member := range []struct {
		name, text string
		into       *[]byte
	}{{"encrypted_key", s.EncryptedKey, &s.key}, {"encrypted_data", s.EncryptedData, &s.data}, {"iv", s.IV, &s.iv}} {
		decoded, err := jwk.DecodeStrict(base64.StdEncoding, member.text)
		if err != nil || len(decoded) == 0 {
			return fmt.Errorf("%s is not base64 of at least one byte", member.name)
		}
		*member.into = decoded
	}
	if wrap, given := s.Annotations[wrapAlg]; given && wrap != defaultWrap && wrap != "RSA-OAEP" {
		return fmt.Errorf("the annotation %s must be %s or RSA-OAEP", wrapAlg, defaultWrap)
	}
	if !strings.Contains(s.KeyID, "/keys/") {
		return errors.New("key_id is not the identifier of a key: https://VAULT/keys/NAME/VERSION")
	}
	return nil
}

// open unwraps the data key with the released key, and opens the data with it.
func (s *sealedSecret) open(key *hsm.Key) (secret *secmem.Buffer, err error) {
	if id := key.ID(); id != s.KeyID && !strings.HasPrefix(id, strings.TrimSuffix(s.KeyID, "/")+"/") {
		return nil, fmt.Errorf("the secret was sealed to %.256q, and the released key is %q", s.KeyID, id)
	}
	opened, err := keyuse.Open(key)
	if err != nil {
		return nil, err
	}
	algorithm, given := s.Annotations[wrapAlg].(string)
	if !given {
		algorithm = defaultWrap
	}
	output, err := opened.Do(keyuse.UnwrapKey, keyuse.Input{Algorithm: algorithm, Value: s.key}, keyuse.Limits{})
	if err != nil {
		return nil, fmt.Errorf("unwrapping the data key: %w", err)
	}
	defer secmem.Wipe(output.Value)
	secmem.Do(func() { secret, err = openGCM(output.Value, s.iv, s.data) })
	return secret, err
}

// openGCM opens AES-256-GCM with the tag at the end of the data.
func openGCM(key, iv, data []byte) (*secmem.Buffer, error) {
	const size = 32
	if len(key) != size {
		return nil, fmt.Errorf("the data key has %d bytes, want %d", len(key), size)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	mode, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	if len(iv) != mode.NonceSize() {
		return nil, fmt.Errorf("iv has %d bytes, want %d", len(iv), mode.NonceSize())
	}
	opened, err := mode.Open(nil, iv, data, nil)
	if err != nil {
		return nil, keyuse.ErrOpen
	}
	return secmem.Hold(opened), nil
}

// readSigner reads a P-256 public key, the only kind that signs sealed secrets (ES256).
func readSigner(path string) (crypto.PublicKey, error) {
	text, err := readFile(path, maxSigner)
	if err != nil {
		return nil, fmt.Errorf("signer: %w", err)
	}
	key, err := parseSigner(text)
	if err != nil {
		return nil, fmt.Errorf("signer: %s: %w", path, err)
	}
	if public, ok := key.(*ecdsa.PublicKey); ok && public.Curve == elliptic.P256() {
		return public, nil
	}
	return nil, fmt.Errorf("signer: %s is not a P-256 key: sealed secrets are signed with ES256", path)
}

func parseSigner(text []byte) (crypto.PublicKey, error) {
	if block, _ := pem.Decode(text); block != nil {
		return x509.ParsePKIXPublicKey(block.Bytes)
	}
	key, err := jwk.Parse(bytes.TrimSpace(text))
	if err != nil {
		return nil, errors.New("it is neither a public key in PEM nor a JWK")
	}
	return key.PublicKey()
}
