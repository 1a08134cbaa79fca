package jws

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"slices"

	"skr/internal/jose/jwk"
)

// VerificationKey is the public key of a JWK that may verify signatures of the
// algorithm. What the JWK says of itself must agree: its use, its operations
// and its algorithm (RFC 7517 section 4), and, where it has both, its
// certificate with its own members, as other readers may take the other.
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

// RSAVerificationKey is a VerificationKey that is RSA.
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
