package maa

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"maps"
	"slices"

	"skr/test/rsakey"
)

const (
	sealingKeySize = 32
	sealingIVSize  = 12
	// sealingData is authenticated together with the token.
	sealingData = "Transport Key"
)

// Forgeries of the envelope around an AzureGuest token. They do not affect
// SevSnpVm answers, which have no envelope.
const (
	OtherEnvelopeKey Forgery = "other-envelope-key" // sealed to a key other than the TPM's
	FlipEnvelope     Forgery = "flip-envelope"      // one bit of the tag is flipped
	ShortIV          Forgery = "short-iv"           // the IV has 8 bytes
)

// envelope is an AzureGuest answer under construction.
type envelope struct {
	to              *rsa.PublicKey
	key             []byte // the AES key, unencrypted
	iv, sealed, tag []byte
}

// envelopeForgers change an envelope before the AES key is encrypted.
var envelopeForgers = map[Forgery]func(*envelope) error{
	OtherEnvelopeKey: func(e *envelope) error {
		other, err := rsakey.Generate(tpmKeyBits)
		if err == nil {
			e.to = &other.PublicKey
		}
		return err
	},
	FlipEnvelope: func(e *envelope) error { e.tag[0] ^= 1; return nil },
	ShortIV:      func(e *envelope) error { e.iv = e.iv[:8]; return nil },
}

// EnvelopeForgeries returns the forgeries of envelopes.
func EnvelopeForgeries() []Forgery { return slices.Sorted(maps.Keys(envelopeForgers)) }

// seal encrypts a token to a TPM's key
// (Azure/confidential-computing-cvm-guest-attestation, AttestationClient,
// DecryptJwt).
func seal(token string, to *rsa.PublicKey, f Forgery) ([]byte, error) {
	e := &envelope{to: to, key: randomBytes(sealingKeySize), iv: randomBytes(sealingIVSize)}
	block, err := aes.NewCipher(e.key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	both := gcm.Seal(nil, e.iv, []byte(token), []byte(sealingData))
	e.sealed, e.tag = both[:len(token)], both[len(token):]
	if forge, wanted := envelopeForgers[f]; wanted {
		if err := forge(e); err != nil {
			return nil, err
		}
	}
	return e.encode()
}

func (e *envelope) encode() ([]byte, error) {
	innerKey, err := rsa.EncryptPKCS1v15(rand.Reader, e.to, e.key) //nolint:staticcheck // the protocol requires it
	if err != nil {
		return nil, err
	}
	type parameters struct {
		Cipher, BlockMode, BlockPadding string
		KeySizeInBits                   int
		Iv                              []byte
	}
	return marshal(struct {
		EncryptedInnerKey  []byte
		EncryptionParams   parameters
		AuthenticationData []byte
		Jwt                []byte
	}{innerKey, parameters{"AES", "ChainingModeGCM", "PKCS7", 8 * sealingKeySize, e.iv}, e.tag, e.sealed})
}
