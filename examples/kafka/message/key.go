package message

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// Key that messages are decrypted with. It does not print its secret.
type Key struct {
	Private *rsa.PrivateKey
	// Name and Version in the key's vault, for people to read; "" if unknown.
	Name, Version string
}

// Format redacts.
func (Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// minBits is the least that Key Vault makes; less is not worth encrypting with.
const minBits = 2048

// ParsePublicKey reads a PEM block of type PUBLIC KEY (RFC 7468 section 13) that
// holds an RSA key, as `skrctl key create` and setup-key.sh write it.
func ParsePublicKey(text string) (*rsa.PublicKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("is not PEM that begins with -----BEGIN PUBLIC KEY-----; want the content of NAME-pub.pem, line ends included")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("is not a public key: %w", err)
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("is a %T, and messages are encrypted with RSA", parsed)
	}
	if bits := key.N.BitLen(); bits < minBits {
		return nil, fmt.Errorf("is an RSA key of %d bits; want %d or more", bits, minBits)
	}
	return key, nil
}

// ErrNotPrivate says nothing of what the key was instead: it may be secret.
var ErrNotPrivate = errors.New("the released key is not a private RSA key")

// ParsePrivateKey reads a JWK (RFC 7517), as skr releases it, and returns its kid too,
// "" if it has none. The caller wipes the JWK.
func ParsePrivateKey(jwk []byte) (key *rsa.PrivateKey, kid string, err error) {
	var parsed jose.JSONWebKey
	if parsed.UnmarshalJSON(jwk) != nil {
		return nil, "", ErrNotPrivate
	}
	key, ok := parsed.Key.(*rsa.PrivateKey)
	if !ok || key.Validate() != nil {
		return nil, "", ErrNotPrivate
	}
	return key, parsed.KeyID, nil
}
