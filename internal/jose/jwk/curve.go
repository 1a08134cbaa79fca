package jwk

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"slices"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// Names of secp256k1: the registered one (RFC 8812 section 3.1) and Key Vault's P-256K
// (Azure REST API specification, Key Vault 7.4, JsonWebKeyCurveName). RFC 7518 section
// 6.2.1.1 has the others.
const (
	p256K     = "P-256K"
	secp256K1 = "secp256k1"
)

// P256K returns the curve that Key Vault calls P-256K. It can be compared with the curve of
// a key.
func P256K() elliptic.Curve {
	return secp256k1.S256() //nolint:staticcheck // the only way to put such a key into crypto/ecdsa's types
}

// uncompressed is the first byte of a point with both coordinates (SEC 1
// version 2.0 section 2.3.3).
const uncompressed = 4

func curveOf(crv string) (elliptic.Curve, error) {
	switch crv {
	case "P-256":
		return elliptic.P256(), nil
	case "P-384":
		return elliptic.P384(), nil
	case "P-521":
		return elliptic.P521(), nil
	case p256K, secp256K1:
		return P256K(), nil
	case "":
		return nil, errors.New(`member "crv" is missing`)
	}
	return nil, fmt.Errorf("curve %.20q is not supported", crv)
}

func nameOf(curve elliptic.Curve) (string, error) {
	switch curve {
	case elliptic.P256():
		return "P-256", nil
	case elliptic.P384():
		return "P-384", nil
	case elliptic.P521():
		return "P-521", nil
	case P256K():
		return p256K, nil
	}
	return "", errors.New("the curve is not supported")
}

func widthOf(curve elliptic.Curve) int { return (curve.Params().BitSize + 7) / 8 }

// ParsePoint parses an uncompressed point and checks that it is on the curve, which is NIST
// P-256, P-384, P-521, or secp256k1.
func ParsePoint(curve elliptic.Curve, point []byte) (*ecdsa.PublicKey, error) {
	if len(point) != 1+2*widthOf(curve) || point[0] != uncompressed {
		return nil, errors.New("the point is not an uncompressed point of the curve")
	}
	if curve != P256K() {
		pub, err := ecdsa.ParseUncompressedPublicKey(curve, point)
		if err != nil {
			return nil, errors.New("the point is not on the curve")
		}
		return pub, nil
	}
	pub, err := secp256k1.ParsePubKey(point)
	if err != nil {
		return nil, errors.New("the point is not on the curve")
	}
	return pub.ToECDSA(), nil
}

// PointBytes returns the uncompressed point of a key on one of the four curves.
func PointBytes(pub *ecdsa.PublicKey) ([]byte, error) {
	if pub.Curve != P256K() {
		return pub.Bytes()
	}
	//nolint:staticcheck // PublicKey.Bytes refuses every curve but NIST's
	x, y := pub.X, pub.Y
	if x == nil || y == nil || x.Sign() < 0 || y.Sign() < 0 || x.BitLen() > 256 || y.BitLen() > 256 {
		return nil, errors.New("the coordinates do not fit the curve")
	}
	point := make([]byte, 65)
	point[0] = uncompressed
	x.FillBytes(point[1:33])
	y.FillBytes(point[33:])
	return point, nil
}

// ParseScalar makes a private key from a big-endian scalar of the curve's width. It refuses
// zero and values that are not below the curve's order.
func ParseScalar(curve elliptic.Curve, scalar []byte) (*ecdsa.PrivateKey, error) {
	if curve != P256K() {
		private, err := ecdsa.ParseRawPrivateKey(curve, scalar)
		if err != nil {
			return nil, errors.New("the private scalar is outside the curve's order")
		}
		return private, nil
	}
	var d secp256k1.ModNScalar
	if len(scalar) != secp256k1.PrivKeyBytesLen || d.SetByteSlice(scalar) || d.IsZero() {
		return nil, errors.New("the private scalar is outside the curve's order")
	}
	return secp256k1.NewPrivateKey(&d).ToECDSA(), nil
}

// ScalarBytes returns the private scalar in the curve's width.
func ScalarBytes(private *ecdsa.PrivateKey) ([]byte, error) {
	if private.Curve != P256K() {
		return private.Bytes()
	}
	//nolint:staticcheck // PrivateKey.Bytes refuses every curve but NIST's
	d := private.D
	if d == nil || d.Sign() <= 0 || d.Cmp(secp256k1.Params().N) >= 0 {
		return nil, errors.New("the private scalar is outside the curve's order")
	}
	return d.FillBytes(make([]byte, secp256k1.PrivKeyBytesLen)), nil
}

func (k Key) ecPublicKey() (*ecdsa.PublicKey, error) {
	curve, err := curveOf(k.Crv)
	if err != nil {
		return nil, err
	}
	x, err := fixedOf("x", k.X, widthOf(curve))
	if err != nil {
		return nil, err
	}
	y, err := fixedOf("y", k.Y, widthOf(curve))
	if err != nil {
		return nil, err
	}
	return ParsePoint(curve, slices.Concat([]byte{uncompressed}, x, y))
}

func (k Key) ecPrivateKey() (*ecdsa.PrivateKey, error) {
	pub, err := k.ecPublicKey()
	if err != nil {
		return nil, err
	}
	d, err := fixedOf("d", k.D, widthOf(pub.Curve))
	if err != nil {
		return nil, err
	}
	private, err := ParseScalar(pub.Curve, d)
	if err != nil {
		return nil, err
	}
	if !private.PublicKey.Equal(pub) {
		return nil, errors.New("the private scalar does not belong to the point")
	}
	return private, nil
}

func fromEC(pub *ecdsa.PublicKey) (Key, error) {
	if pub == nil || pub.Curve == nil {
		return Key{}, errors.New("the EC key is empty")
	}
	crv, err := nameOf(pub.Curve)
	if err != nil {
		return Key{}, err
	}
	point, err := PointBytes(pub)
	if err != nil {
		return Key{}, err
	}
	if _, err := ParsePoint(pub.Curve, point); err != nil {
		return Key{}, err
	}
	width := widthOf(pub.Curve)
	return Key{Kty: "EC", Crv: crv, X: encode(point[1 : 1+width]), Y: encode(point[1+width:])}, nil
}

func fromECPrivate(private *ecdsa.PrivateKey) (Key, error) {
	if private == nil {
		return Key{}, errors.New("the EC key is empty")
	}
	key, err := fromEC(&private.PublicKey)
	if err != nil {
		return Key{}, err
	}
	d, err := ScalarBytes(private)
	if err != nil {
		return Key{}, err
	}
	key.D = encode(d)
	return key, nil
}
