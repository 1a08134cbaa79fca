package envelope

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"skr/hsm"
	"skr/internal/jose/jwk"
	"skr/internal/jose/keywrap"
	"skr/internal/secmem"
)

var (
	// ErrOpen means that the envelope was altered, or was sealed to another key.
	ErrOpen = errors.New("the envelope does not open with this key: it was sealed to another key, or was altered")
	// ErrKey means that the envelope names another key.
	ErrKey = errors.New("the envelope names another key")
)

// Open returns the secret in protected memory. The caller wipes it. The error wraps [ErrOpen]
// or [ErrKey] if the key is the wrong one.
func (e *Envelope) Open(key *hsm.Key) (*secmem.Buffer, error) {
	text, err := key.JWK()
	if err != nil {
		return nil, fmt.Errorf("opening an envelope: %w", err)
	}
	defer secmem.Wipe(text)
	var secret *secmem.Buffer
	secmem.Do(func() { secret, err = e.open(key.ID(), text) })
	if err != nil {
		return nil, fmt.Errorf("opening an envelope: %w", err)
	}
	return secret, nil
}

func (e *Envelope) open(id string, text []byte) (*secmem.Buffer, error) {
	if !names(e.header.Kid, id) {
		return nil, fmt.Errorf("%w: it was sealed to %.256q, and the released key is %q", ErrKey, e.header.Kid, id)
	}
	key, err := jwk.Parse(text)
	if err != nil {
		return nil, err
	}
	if err := mayOpen(key); err != nil {
		return nil, err
	}
	private, erase, err := privateOf(key)
	if err != nil {
		return nil, err
	}
	defer erase()
	if !e.header.fits(private) {
		return nil, fmt.Errorf("the algorithm (alg) %s does not fit a key of type %s and its size", e.header.Alg, key.Type())
	}
	secret, err := e.sealed.Decrypt(private)
	switch {
	case err != nil:
		return nil, ErrOpen // says nothing of the reason, as the vault does
	case len(secret) == 0:
		return nil, errors.New("the envelope is empty")
	}
	return secmem.Hold(secret), nil
}

// names reports whether a kid, if there is one, is the identifier of the key. The host is not
// compared: a vault that has the key restored from a backup gives it another.
func names(kid, id string) bool {
	const path = "/keys/"
	if kid == "" || kid == id {
		return true
	}
	_, named, found := strings.Cut(kid, path)
	_, released, known := strings.Cut(id, path)
	if !found || !known {
		return false
	}
	name, _, _ := strings.Cut(released, "/")
	return named == released || named == name
}

// privateOf returns the key for go-jose, and a function that overwrites what can be reached
// of it.
func privateOf(key jwk.Key) (private any, erase func(), err error) {
	if key.Type() == "oct" {
		secret, err := jwk.DecodeStrict(base64.RawURLEncoding, key.K)
		if err != nil || len(secret) == 0 {
			return nil, nil, errors.New("the symmetric key is not base64url")
		}
		return secret, func() { clear(secret) }, nil
	}
	parsed, err := key.PrivateKey()
	if err != nil {
		return nil, nil, err
	}
	switch parsed := parsed.(type) {
	case *rsa.PrivateKey:
		return parsed, func() { keywrap.Erase(parsed) }, nil
	case *ecdsa.PrivateKey:
		if parsed.Curve != jwk.P256K() {
			//nolint:staticcheck // what is deprecated still holds the scalar
			return parsed, func() { clear(parsed.D.Bits()) }, nil
		}
	}
	return nil, nil, errNoAlgorithm
}

// fits reports whether the algorithm is one of the key's. go-jose accepts A128KW with a key
// of 32 bytes.
func (h header) fits(private any) bool {
	switch private := private.(type) {
	case *rsa.PrivateKey:
		return h.Alg == jose.RSA_OAEP_256 || h.Alg == jose.RSA_OAEP
	case *ecdsa.PrivateKey:
		return strings.HasPrefix(string(h.Alg), "ECDH-ES")
	case []byte:
		wraps := map[jose.KeyAlgorithm]int{jose.A128KW: 16, jose.A192KW: 24, jose.A256KW: 32}
		return h.Alg == jose.DIRECT || wraps[h.Alg] == len(private)
	}
	return false
}
