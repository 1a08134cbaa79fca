package vault

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"skr/internal/jose/jwk"
)

// hsmSuffix marks the types of keys that an HSM protects.
const hsmSuffix = "-HSM"

// material is immutable key material with its type.
type material struct {
	kind     string            // RSA, EC or oct
	hardware bool              // the type ends in -HSM
	private  crypto.PrivateKey // *rsa.PrivateKey or *ecdsa.PrivateKey; nil for oct
	secret   []byte            // the value of an oct key
}

func (m material) kty() string {
	if m.hardware {
		return m.kind + hsmSuffix
	}
	return m.kind
}

// public returns the public members of the JWK in Key Vault's order.
func (m material) public() object {
	switch private := m.private.(type) {
	case *rsa.PrivateKey:
		k, _ := jwk.FromPublic(&private.PublicKey) // cannot fail: the key was generated here
		return object{{"n", k.N}, {"e", k.E}}
	case *ecdsa.PrivateKey:
		k, _ := jwk.FromPublic(&private.PublicKey)
		return object{{"crv", k.Crv}, {"x", k.X}, {"y", k.Y}}
	}
	return nil
}

// defaultOperations returns the key_ops of a key whose request has none.
func (m material) defaultOperations() []string {
	switch m.kind {
	case "EC":
		return []string{"sign", "verify"}
	case "oct":
		return []string{"encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey", "deriveKey"}
	}
	return []string{"encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"}
}

// another returns other material of the same type and size.
func (m material) another() (material, error) {
	switch private := m.private.(type) {
	case *rsa.PrivateKey:
		return generateRSA(private.N.BitLen(), m.hardware)
	case *ecdsa.PrivateKey:
		return generateEC(private.Curve, m.hardware)
	}
	return generateSecret(8 * len(m.secret))
}

func generateRSA(bits int, hardware bool) (material, error) {
	private, err := rsa.GenerateKey(rand.Reader, bits)
	return material{kind: "RSA", hardware: hardware, private: private}, err
}

// generateRSA3 makes a key with the public exponent 3, which crypto/rsa does not make.
func generateRSA3(bits int, hardware bool) (material, error) {
	one, three := big.NewInt(1), big.NewInt(3)
	var primes []*big.Int
	for len(primes) < 2 {
		p, err := rand.Prime(rand.Reader, bits/2)
		if err != nil {
			return material{}, err
		}
		if less := new(big.Int).Sub(p, one); new(big.Int).Mod(less, three).Sign() != 0 {
			primes = append(primes, p)
		}
	}
	n := new(big.Int).Mul(primes[0], primes[1])
	phi := new(big.Int).Mul(new(big.Int).Sub(primes[0], one), new(big.Int).Sub(primes[1], one))
	private := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: n, E: 3}, D: new(big.Int).ModInverse(three, phi), Primes: primes,
	}
	private.Precompute()
	return material{kind: "RSA", hardware: hardware, private: private}, private.Validate()
}

func generateEC(curve elliptic.Curve, hardware bool) (material, error) {
	m := material{kind: "EC", hardware: hardware}
	if curve == curveP256K() {
		private, err := secp256k1.GeneratePrivateKeyFromRand(rand.Reader)
		if err != nil {
			return material{}, err
		}
		m.private = private.ToECDSA()
		return m, nil
	}
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	m.private = private
	return m, err
}

func generateSecret(bits int) (material, error) {
	secret := make([]byte, bits/8)
	_, _ = rand.Read(secret) // never fails
	return material{kind: "oct", hardware: true, secret: secret}, nil
}

// curveNamed returns the curve with Key Vault's name; "" means the default.
func curveNamed(name string) (elliptic.Curve, bool) {
	switch name {
	case "", "P-256":
		return elliptic.P256(), true
	case "P-384":
		return elliptic.P384(), true
	case "P-521":
		return elliptic.P521(), true
	case "P-256K":
		return curveP256K(), true
	}
	return nil, false
}

// curveP256K returns secp256k1 for crypto/ecdsa, in the form that
// internal/jose/jwk uses too.
func curveP256K() elliptic.Curve {
	return secp256k1.S256() //nolint:staticcheck // the only way to an ecdsa.PrivateKey of this curve
}

// exported returns what a release wraps: PKCS#8 of RSA and EC keys, the bytes
// of a symmetric key. According to the lengths of recorded ciphertexts, Key
// Vault writes EC keys with explicit curve parameters and without the public
// key, and Managed HSM with a named curve and the public key. UNCONFIRMED: that
// this holds for curves other than P-256K.
func (m material) exported(f Flavour) ([]byte, error) {
	switch private := m.private.(type) {
	case *rsa.PrivateKey:
		return x509.MarshalPKCS8PrivateKey(private)
	case *ecdsa.PrivateKey:
		if f == KeyVault {
			return explicitPKCS8(private)
		}
		return namedPKCS8(private)
	}
	if m.secret == nil {
		return nil, errors.New("the key has no material")
	}
	return m.secret, nil
}

// splitType splits a type such as "EC-HSM".
func splitType(kty string) (kind string, hardware bool) {
	return strings.CutSuffix(kty, hsmSuffix)
}
