package provision

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"skr/hsm"
	"skr/internal/jose/jwk"
	"skr/internal/secmem"
)

// sizeOf returns the size in bits; 0 for an EC key.
func sizeOf(material *hsm.Key, public jwk.Key) (int, error) {
	switch public.Type() {
	case "RSA":
		return modulus(public)
	case "oct":
		return secretSize(material)
	}
	return 0, nil
}

func modulus(public jwk.Key) (int, error) {
	parsed, err := public.PublicKey()
	if err != nil {
		return 0, err
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return 0, fmt.Errorf("a %T has no modulus", parsed)
	}
	return key.N.BitLen(), nil
}

func secretSize(material *hsm.Key) (int, error) {
	text, err := material.JWK()
	if err != nil {
		return 0, err
	}
	defer secmem.Wipe(text)
	key, err := jwk.Parse(text)
	return 8 * base64.RawURLEncoding.DecodedLen(len(key.K)), err
}

// withMaterial calls use with the private key in the SDK's form, and wipes it afterwards.
func (r *Request) withMaterial(use func(*azkeys.JSONWebKey) error) error {
	text, err := r.spec.Material.JWK()
	if err != nil {
		return err
	}
	defer secmem.Wipe(text)
	key := new(azkeys.JSONWebKey)
	defer func() { secmem.Wipe(key.D, key.P, key.Q, key.DP, key.DQ, key.QI, key.K) }()
	if err := json.Unmarshal(text, key); err != nil {
		return fmt.Errorf("reading the key again: %w", err)
	}
	key.Kty, key.KeyOps = new(azkeys.KeyType(r.spec.Type)), r.operations()
	return use(key)
}
