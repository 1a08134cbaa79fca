package jwk

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// hsmSuffix marks a hardware-backed key type of Key Vault and Managed HSM
// (Azure REST API specification, Key Vault 7.4, JsonWebKeyType).
const hsmSuffix = "-HSM"

// Type returns kty without Azure's mark for hardware: RSA, EC or oct.
func (k Key) Type() string { return strings.TrimSuffix(k.Kty, hsmSuffix) }

// PublicKey returns the *rsa.PublicKey or *ecdsa.PublicKey of the members. The curve of a
// P-256K key is secp256k1.S256(). If a key has no public members, its public key is that of
// the first certificate of x5c.
func (k Key) PublicKey() (crypto.PublicKey, error) {
	pub, err := k.publicKey()
	if err != nil {
		return nil, fmt.Errorf("reading the public key: %w", err)
	}
	return pub, nil
}

func (k Key) publicKey() (crypto.PublicKey, error) {
	onlyCertificate := k.N == "" && k.E == "" && k.X == "" && k.Y == "" && len(k.X5c) > 0
	switch kind := k.Type(); {
	case kind != "RSA" && kind != "EC":
		return nil, fmt.Errorf("key type %.20q has none", k.Kty)
	case onlyCertificate:
		return k.certifiedKey(kind)
	case kind == "RSA":
		return k.rsaPublicKey()
	default:
		return k.ecPublicKey()
	}
}

// certifiedKey parses x5c[0], standard base64 of DER (RFC 7517 section 4.7). It does not
// check the key usage, because Microsoft Azure Attestation publishes its signing keys in
// certificates of authorities that may only sign certificates.
func (k Key) certifiedKey(kind string) (crypto.PublicKey, error) {
	der, err := DecodeStrict(base64.StdEncoding, k.X5c[0])
	if err != nil {
		return nil, errors.New(`member "x5c" is not base64`)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf(`member "x5c": %w`, err)
	}
	switch pub := certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		if kind == "RSA" {
			return checkRSA(pub.N, big.NewInt(int64(pub.E)))
		}
	case *ecdsa.PublicKey:
		if kind == "EC" {
			_, err := nameOf(pub.Curve)
			return pub, err
		}
	}
	return nil, errors.New(`member "x5c" holds a key of another type`)
}

// PrivateKey returns the *rsa.PrivateKey or *ecdsa.PrivateKey of the members, checked
// against the public members.
func (k Key) PrivateKey() (crypto.PrivateKey, error) {
	private, err := k.privateKey()
	if err != nil {
		return nil, fmt.Errorf("reading the private key: %w", err)
	}
	return private, nil
}

func (k Key) privateKey() (crypto.PrivateKey, error) {
	switch k.Type() {
	case "RSA":
		return k.rsaPrivateKey()
	case "EC":
		return k.ecPrivateKey()
	}
	return nil, fmt.Errorf("key type %.20q has none", k.Kty)
}

// FromPublic returns the JWK of an *rsa.PublicKey or *ecdsa.PublicKey.
func FromPublic(pub crypto.PublicKey) (Key, error) {
	return written(func() (Key, error) {
		switch pub := pub.(type) {
		case *rsa.PublicKey:
			return fromRSA(pub)
		case *ecdsa.PublicKey:
			return fromEC(pub)
		}
		return Key{}, fmt.Errorf("a %T has no JWK", pub)
	})
}

// FromPrivate returns the JWK of an *rsa.PrivateKey or *ecdsa.PrivateKey with all private
// members.
func FromPrivate(private crypto.PrivateKey) (Key, error) {
	return written(func() (Key, error) {
		switch private := private.(type) {
		case *rsa.PrivateKey:
			return fromRSAPrivate(private)
		case *ecdsa.PrivateKey:
			return fromECPrivate(private)
		}
		return Key{}, fmt.Errorf("a %T has no JWK", private)
	})
}

func written(write func() (Key, error)) (Key, error) {
	key, err := write()
	if err != nil {
		return Key{}, fmt.Errorf("writing a key: %w", err)
	}
	return key, nil
}

// Thumbprint returns the base64url SHA-256 of the required public members in canonical form
// (RFC 7638 section 3): kty without Azure's suffix, numbers without leading zeros, and the
// registered name of secp256k1.
func (k Key) Thumbprint() (string, error) {
	pub, err := k.PublicKey()
	if err != nil {
		return "", err
	}
	canonical, err := FromPublic(pub)
	if err != nil {
		return "", err
	}
	return canonical.thumbprint()
}

// Registered returns the key with registered names, which JOSE libraries support: kty
// without Azure's mark for hardware, and secp256k1 (RFC 8812 section 3.1) instead of P-256K.
func (k Key) Registered() Key {
	k.Kty = k.Type()
	if k.Crv == p256K {
		k.Crv = secp256K1
	}
	return k
}

func (k Key) thumbprint() (string, error) {
	k = k.Registered()
	members := map[string]string{"kty": k.Kty, "e": k.E, "n": k.N}
	if k.Kty == "EC" {
		members = map[string]string{"kty": k.Kty, "crv": k.Crv, "x": k.X, "y": k.Y}
	}
	// encoding/json sorts the members and writes no white space, as the RFC requires.
	text, err := json.Marshal(members)
	if err != nil {
		return "", fmt.Errorf("making the thumbprint: %w", err)
	}
	sum := sha256.Sum256(text)
	return encode(sum[:]), nil
}
