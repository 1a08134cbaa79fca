package keyuse

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"

	"skr/internal/jose/jwk"
)

// parse parses a private or symmetric JWK.
func parse(text []byte) (*Key, error) {
	key, err := jwk.Parse(text)
	if err != nil {
		return nil, err
	}
	family, err := familyOf(key)
	if err != nil {
		return nil, err
	}
	return &Key{allowed: key.KeyOps, family: family}, nil
}

func familyOf(key jwk.Key) (family, error) {
	if key.Type() == "oct" {
		secret, err := jwk.DecodeStrict(base64.RawURLEncoding, key.K)
		if err != nil || len(secret) == 0 {
			return nil, errors.New("the symmetric key is not base64url")
		}
		return newOct(secret), nil
	}
	private, err := key.PrivateKey()
	if err != nil {
		return nil, err
	}
	switch private := private.(type) {
	case *rsa.PrivateKey:
		return rsaKey{private}, nil
	case *ecdsa.PrivateKey:
		return newEC(private)
	}
	return nil, fmt.Errorf("keys of type %.20q have no operations", key.Kty)
}
