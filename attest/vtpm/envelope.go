package vtpm

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"skr/internal/jose/jwk"
)

const (
	// envelopeData is the additional authenticated data: ASCII, without a terminating zero.
	envelopeData = "Transport Key"
	maxEnvelope  = 1 << 20
	gcmIV        = 12 // bytes, as in the client library
	gcmTag       = 16
	maxInnerKey  = 512 // bytes of RSA ciphertext
)

// Envelope is the answer of /attest/AzureGuest: a token that only the TPM's ephemeral key
// can decrypt (Azure/confidential-computing-cvm-guest-attestation, AttestationClient). It is
// made only by ParseEnvelope.
type Envelope struct {
	innerKey []byte
	iv       []byte
	sealed   []byte // the token and its tag
}

// ParseEnvelope parses the JSON in the member token of the answer, decoded from base64url.
func ParseEnvelope(data []byte) (*Envelope, error) {
	e, err := parseEnvelope(data)
	if err != nil {
		return nil, fmt.Errorf("parsing the envelope of a token: %w", err)
	}
	return e, nil
}

// sealedToken is the wire form. It also has key sizes and padding, which GCM does not need.
type sealedToken struct {
	EncryptedInnerKey  string
	EncryptionParams   struct{ BlockMode, Cipher, Iv string }
	AuthenticationData string
	Jwt                string
}

func parseEnvelope(data []byte) (*Envelope, error) {
	if len(data) > maxEnvelope {
		return nil, fmt.Errorf("it has more than %d bytes", maxEnvelope)
	}
	var wire sealedToken
	if err := jwk.Unmarshal(data, &wire); err != nil {
		return nil, fmt.Errorf("it is not the JSON that was expected: %w", err)
	}
	if p := wire.EncryptionParams; p.Cipher != "AES" || p.BlockMode != "ChainingModeGCM" {
		return nil, fmt.Errorf("it is sealed with %.40q in %.40q, want AES in ChainingModeGCM", p.Cipher, p.BlockMode)
	}
	return wire.decode()
}

// decode also checks the lengths, because GCM panics if the IV has another length.
func (w sealedToken) decode() (*Envelope, error) {
	var e Envelope
	var tag []byte
	for _, member := range []struct {
		name, text  string
		least, most int
		into        *[]byte
	}{
		{"EncryptedInnerKey", w.EncryptedInnerKey, 1, maxInnerKey, &e.innerKey},
		{"Iv", w.EncryptionParams.Iv, gcmIV, gcmIV, &e.iv},
		{"AuthenticationData", w.AuthenticationData, gcmTag, gcmTag, &tag},
		{"Jwt", w.Jwt, 1, maxEnvelope, &e.sealed},
	} {
		value, err := decodeEither(member.text)
		if err != nil || len(value) < member.least || len(value) > member.most {
			return nil, fmt.Errorf("its %s is no base64 of %d to %d bytes", member.name, member.least, member.most)
		}
		*member.into = value
	}
	e.sealed = append(e.sealed, tag...)
	return &e, nil
}

// decodeEither accepts both alphabets of base64, padded or not, as Azure's clients do. It is
// not documented which one the service uses.
func decodeEither(text string) ([]byte, error) {
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	return base64.RawStdEncoding.DecodeString(standard)
}

// InnerKey returns the AES key, encrypted to the TPM's ephemeral key with RSAES-PKCS1-v1_5.
func (e *Envelope) InnerKey() []byte { return append([]byte(nil), e.innerKey...) }

// Open decrypts the token with the decrypted AES key, which the caller wipes.
func (e *Envelope) Open(key []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("opening the envelope of a token: the key has %d bytes", len(key))
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("opening the envelope of a token: %w", err)
	}
	token, err := gcm.Open(nil, e.iv, e.sealed, []byte(envelopeData))
	if err != nil {
		return nil, errors.New("opening the envelope of a token: it was altered, or the key is another one's")
	}
	return token, nil
}
