package vault

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/asn1"
	"errors"
	"math/big"

	"skr/internal/jose/jwk"
)

// Object identifiers: RFC 5480 sections 2.1.1 and 2.1.1.1, SEC 2 version 2.0
// appendix A.2.1 (secp256k1), X9.62 section 6.1 (prime field, RFC 3279
// section 2.3.5).
var (
	oidECPublicKey = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidPrimeField  = asn1.ObjectIdentifier{1, 2, 840, 10045, 1, 1}
	oidP256        = asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
	oidP384        = asn1.ObjectIdentifier{1, 3, 132, 0, 34}
	oidP521        = asn1.ObjectIdentifier{1, 3, 132, 0, 35}
	oidSecp256k1   = asn1.ObjectIdentifier{1, 3, 132, 0, 10}
)

// privateKeyInfo is PrivateKeyInfo of RFC 5208 section 5.
type privateKeyInfo struct {
	Version    int
	Algorithm  ecAlgorithm
	PrivateKey []byte
}

type ecAlgorithm struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters asn1.RawValue
}

// ecPrivateKey is ECPrivateKey of RFC 5915 section 3 without parameters.
type ecPrivateKey struct {
	Version    int
	PrivateKey []byte
	PublicKey  asn1.BitString `asn1:"optional,explicit,tag:1"`
}

// ecParameters is SpecifiedECDomain (SEC 1 version 2.0 appendix C.2), also
// ECParameters of RFC 3279 section 2.3.5, without the curve's seed.
type ecParameters struct {
	Version  int
	Field    ecField
	Curve    ecCurve
	Base     []byte
	Order    *big.Int
	Cofactor int
}

type ecField struct {
	Type  asn1.ObjectIdentifier
	Prime *big.Int
}

type ecCurve struct{ A, B []byte }

func namedPKCS8(private *ecdsa.PrivateKey) ([]byte, error) {
	oid, err := curveOID(private.Curve)
	if err != nil {
		return nil, err
	}
	public, err := jwk.PointBytes(&private.PublicKey)
	if err != nil {
		return nil, err
	}
	return ecPKCS8(private, oid, asn1.BitString{Bytes: public, BitLength: 8 * len(public)})
}

func explicitPKCS8(private *ecdsa.PrivateKey) ([]byte, error) {
	return ecPKCS8(private, explicitParameters(private.Curve), asn1.BitString{})
}

func ecPKCS8(private *ecdsa.PrivateKey, parameters any, public asn1.BitString) ([]byte, error) {
	scalar, err := jwk.ScalarBytes(private)
	if err != nil {
		return nil, err
	}
	inner, err := asn1.Marshal(ecPrivateKey{1, scalar, public})
	if err != nil {
		return nil, err
	}
	domain, err := asn1.Marshal(parameters)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(privateKeyInfo{
		Algorithm:  ecAlgorithm{oidECPublicKey, asn1.RawValue{FullBytes: domain}},
		PrivateKey: inner,
	})
}

func curveOID(curve elliptic.Curve) (asn1.ObjectIdentifier, error) {
	switch curve {
	case elliptic.P256():
		return oidP256, nil
	case elliptic.P384():
		return oidP384, nil
	case elliptic.P521():
		return oidP521, nil
	case curveP256K():
		return oidSecp256k1, nil
	}
	return nil, errors.New("the curve has no known object identifier")
}

func explicitParameters(curve elliptic.Curve) ecParameters {
	p := curve.Params()
	size := (p.BitSize + 7) / 8
	base := append([]byte{4}, p.Gx.FillBytes(make([]byte, size))...)
	return ecParameters{
		Version:  1,
		Field:    ecField{oidPrimeField, p.P},
		Curve:    ecCurve{coefficientA(curve).FillBytes(make([]byte, size)), p.B.FillBytes(make([]byte, size))},
		Base:     append(base, p.Gy.FillBytes(make([]byte, size))...),
		Order:    p.N,
		Cofactor: 1,
	}
}

// coefficientA returns 0 for secp256k1 and -3 for NIST's curves.
// elliptic.CurveParams lacks the coefficient.
func coefficientA(curve elliptic.Curve) *big.Int {
	if curve == curveP256K() {
		return new(big.Int)
	}
	return new(big.Int).Sub(curve.Params().P, big.NewInt(3))
}
