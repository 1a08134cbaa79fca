package message

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// Key is the key that decrypts messages. It does not print its secret.
type Key struct {
	// Private is nil if the key stays in the sidecar.
	Private *rsa.PrivateKey
	// Name and Version identify the key in its vault, for display; "" if
	// unknown.
	Name, Version string
	// Size is the size of a message in bytes, for a key that stays in the sidecar.
	Size int
}

// Format redacts the key.
func (Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// minBits is the smallest size that Key Vault generates. Smaller keys are too
// weak.
const minBits = 2048

// ParsePublicKey parses a PEM block of type PUBLIC KEY (RFC 7468 section 13)
// that contains an RSA key, as `skrctl key create` and setup-key.sh write it.
func ParsePublicKey(text string) (*rsa.PublicKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("is not PEM that begins with -----BEGIN PUBLIC KEY-----; use the content of NAME-pub.pem, line ends included")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("is not a public key: %w", err)
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("is a %T; use an RSA key", parsed)
	}
	if bits := key.N.BitLen(); bits < minBits {
		return nil, fmt.Errorf("is an RSA key of %d bits; use %d or more", bits, minBits)
	}
	return key, nil
}

// ErrNotPrivate does not describe the key, which may be secret.
var ErrNotPrivate = errors.New("the released key is not a private RSA key")

// ParsePrivateKey parses a JWK (RFC 7517) as skr releases it. It also returns
// its kid, or "" if it has none. The caller wipes the JWK.
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
