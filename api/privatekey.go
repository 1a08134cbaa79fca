package api

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

func (k jwk) signer() (crypto.Signer, error) {
	switch kind := k.kind(); kind {
	case "RSA":
		return k.rsa()
	case "EC":
		return k.ec()
	default:
		return nil, fmt.Errorf("%w: kty is %.20q, want %q or %q", ErrKeyType, kind, "RSA", "EC")
	}
}

// number decodes an unsigned number and wipes the bytes between.
func (k jwk) number(name string) (*big.Int, error) {
	value, err := k.bytes(name)
	if err != nil {
		return nil, err
	}
	defer clear(value)
	return new(big.Int).SetBytes(value), nil
}

// rsa makes a key of two primes (RFC 7518 section 6.3.2). The members dp, dq and qi follow
// from the others, and crypto/rsa computes them.
func (k jwk) rsa() (*rsa.PrivateKey, error) {
	var n, e, d, p, q *big.Int
	for _, member := range []struct {
		name string
		into **big.Int
	}{{"n", &n}, {"e", &e}, {"d", &d}, {"p", &p}, {"q", &q}} {
		var err error
		if *member.into, err = k.number(member.name); err != nil {
			return nil, err
		}
	}
	if e.BitLen() > 31 {
		return nil, errors.New("the RSA exponent is too large")
	}
	if p.BitLen()+q.BitLen() > n.BitLen()+1 { // checking large factors for primality takes seconds
		return nil, errors.New("the numbers of the RSA key contradict each other")
	}
	private := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: int(e.Int64())}, D: d, Primes: []*big.Int{p, q}}
	if private.Validate() != nil {
		return nil, errors.New("the numbers of the RSA key contradict each other")
	}
	private.Precompute()
	return private, nil
}

func (k jwk) ec() (*ecdsa.PrivateKey, error) {
	curve, err := k.curve()
	if err != nil {
		return nil, err
	}
	width := (curve.Params().BitSize + 7) / 8
	var x, y, d []byte
	for _, member := range []struct {
		name string
		into *[]byte
	}{{"x", &x}, {"y", &y}, {"d", &d}} {
		if *member.into, err = k.fixed(member.name, width); err != nil {
			return nil, err
		}
	}
	defer clear(d)
	const uncompressed = 4 // SEC 1 version 2.0 section 2.3.3
	public, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{uncompressed}, x, y))
	if err != nil {
		return nil, errors.New("the point of the EC key is not on its curve")
	}
	private, err := ecdsa.ParseRawPrivateKey(curve, d)
	if err != nil || !private.PublicKey.Equal(public) {
		return nil, errors.New("the numbers of the EC key contradict each other")
	}
	return private, nil
}

// curve knows the names of RFC 7518 section 6.2.1.1.
func (k jwk) curve() (elliptic.Curve, error) {
	switch name := k.text("crv"); name {
	case "P-256":
		return elliptic.P256(), nil
	case "P-384":
		return elliptic.P384(), nil
	case "P-521":
		return elliptic.P521(), nil
	case "P-256K", "secp256k1":
		return nil, fmt.Errorf("%w %s: give the JWK to a package that has secp256k1", ErrCurve, name)
	default:
		return nil, fmt.Errorf("the curve %.20q is not known", name)
	}
}

// fixed decodes a number of width bytes. Vaults leave leading zeros out, or add one.
func (k jwk) fixed(name string, width int) ([]byte, error) {
	value, err := k.bytes(name)
	if err != nil {
		return nil, err
	}
	defer clear(value)
	number := value
	if len(number) == width+1 && number[0] == 0 {
		number = number[1:]
	}
	if len(number) > width {
		return nil, fmt.Errorf("member %q is longer than the curve", name)
	}
	fixed := make([]byte, width)
	copy(fixed[width-len(number):], number)
	return fixed, nil
}
