package jws

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"slices"

	"skr/internal/jose/jwk"
)

// VerificationKey returns the public key of a JWK that may verify signatures of the
// algorithm. The JWK's use, operations and algorithm must allow that (RFC 7517 section 4).
// If it has both members and a certificate, they must have the same key, because other
// readers may use the other one.
func VerificationKey(key jwk.Key, algorithm string) (crypto.PublicKey, error) {
	switch {
	case key.Kty != "RSA" && key.Kty != "EC":
		return nil, errors.New("the key is of another type than RSA and EC")
	case key.Use != "" && key.Use != "sig":
		return nil, errors.New("the key is not for signatures")
	case len(key.KeyOps) > 0 && !slices.Contains(key.KeyOps, "verify"):
		return nil, errors.New("the key is not for verifying")
	case key.Alg != "" && key.Alg != algorithm:
		return nil, errors.New("the key is for another algorithm")
	}
	public, err := key.PublicKey()
	if err != nil || len(key.X5c) == 0 || (key.N == "" && key.X == "") {
		return public, err
	}
	certified, err := jwk.Key{Kty: key.Kty, Crv: key.Crv, X5c: key.X5c}.PublicKey()
	if err != nil {
		return nil, err
	}
	if !equal(certified, public) {
		return nil, errors.New("the key's certificate holds another key")
	}
	return public, nil
}

func equal(a, b crypto.PublicKey) bool {
	comparable, ok := a.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && comparable.Equal(b)
}

// RSAVerificationKey is VerificationKey for RSA keys.
func RSAVerificationKey(key jwk.Key, algorithm string) (*rsa.PublicKey, error) {
	public, err := VerificationKey(key, algorithm)
	if err != nil {
		return nil, err
	}
	rsaPublic, ok := public.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("the key is not an RSA key")
	}
	return rsaPublic, nil
}
