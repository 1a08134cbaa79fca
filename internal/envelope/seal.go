package envelope

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"skr/internal/jose/jwk"
)

// Seal encrypts a secret to a public key of type RSA or EC. The envelope names the key by its
// kid, if it has one.
func Seal(public jwk.Key, secret []byte) (string, error) {
	text, err := seal(public, secret)
	if err != nil {
		return "", fmt.Errorf("sealing a secret: %w", err)
	}
	return text, nil
}

func seal(public jwk.Key, secret []byte) (string, error) {
	switch {
	case len(secret) == 0:
		return "", errors.New("it is empty")
	case len(secret) > MaxSecret:
		return "", fmt.Errorf("it has more than %d bytes", MaxSecret)
	case len(public.Kid) > maxHeader/4:
		return "", errors.New("the identifier of the key (kid) is too long")
	}
	recipient, err := recipientOf(public)
	if err != nil {
		return "", err
	}
	encrypter, err := jose.NewEncrypter(jose.A256GCM, recipient, nil)
	if err != nil {
		return "", err
	}
	sealed, err := encrypter.Encrypt(secret)
	if err != nil {
		return "", err
	}
	return sealed.CompactSerialize()
}

func recipientOf(public jwk.Key) (jose.Recipient, error) {
	if public.Type() == "oct" {
		return jose.Recipient{}, errors.New("a symmetric key has no public half; seal to an RSA or EC key")
	}
	if err := mayOpen(public); err != nil {
		return jose.Recipient{}, err
	}
	parsed, err := public.PublicKey()
	if err != nil {
		return jose.Recipient{}, err
	}
	switch parsed := parsed.(type) {
	case *rsa.PublicKey:
		return jose.Recipient{Algorithm: jose.RSA_OAEP_256, Key: parsed, KeyID: public.Kid}, nil
	case *ecdsa.PublicKey:
		if parsed.Curve != jwk.P256K() {
			return jose.Recipient{Algorithm: jose.ECDH_ES, Key: parsed, KeyID: public.Kid}, nil
		}
	}
	return jose.Recipient{}, errNoAlgorithm
}

var errNoAlgorithm = errors.New("keys of the curve P-256K cannot encrypt; use an RSA key, or an EC key of another curve")

// mayOpen returns an error if the key_ops say that the key opens nothing. They say nothing of
// EC keys: Key Vault has no operation for key agreement ("About keys",
// learn.microsoft.com/azure/key-vault/keys/about-keys).
func mayOpen(key jwk.Key) error {
	if len(key.KeyOps) == 0 || key.Type() == "EC" {
		return nil
	}
	for _, op := range []string{"decrypt", "unwrapKey", "encrypt", "wrapKey"} {
		if slices.Contains(key.KeyOps, op) {
			return nil
		}
	}
	return fmt.Errorf("the key_ops of the key are %q and allow no encryption", key.KeyOps)
}
