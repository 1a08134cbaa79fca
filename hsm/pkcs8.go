package hsm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"skr/internal/jose/jwk"
)

var (
	oidRSA = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1} // RFC 8017 appendix A.1
	oidEC  = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}     // RFC 5480 section 2.1.1
)

var (
	errPKCS8     = errors.New("is not PKCS #8 in DER")
	errECPrivate = errors.New("is not an EC private key in DER")
)

// Context-specific tags: attributes and public key of OneAsymmetricKey (RFC
// 5958 section 2), parameters and public key of ECPrivateKey (RFC 5915 section 3).
var (
	tagAttributes = cbasn1.Tag(0).ContextSpecific().Constructed()
	tagPublicKey  = cbasn1.Tag(1).ContextSpecific()
	tagECParams   = cbasn1.Tag(0).ContextSpecific().Constructed()
	tagECPublic   = cbasn1.Tag(1).ContextSpecific().Constructed()
)

// parsePKCS8 reads an unencrypted RSA or EC private key (RFC 5208 section 5).
// crypto/x509 knows neither secp256k1 nor explicit EC parameters, in which
// vaults write EC keys, and it accepts trailing data.
func parsePKCS8(der []byte) (crypto.PrivateKey, error) {
	input := cryptobyte.String(der)
	var outer, algorithm, key cryptobyte.String
	var version int
	var oid asn1.ObjectIdentifier
	if !input.ReadASN1(&outer, cbasn1.SEQUENCE) || !input.Empty() ||
		!outer.ReadASN1Integer(&version) || version < 0 || version > 1 ||
		!outer.ReadASN1(&algorithm, cbasn1.SEQUENCE) ||
		!outer.ReadASN1(&key, cbasn1.OCTET_STRING) ||
		!outer.SkipOptionalASN1(tagAttributes) ||
		!outer.SkipOptionalASN1(tagPublicKey) || !outer.Empty() ||
		!algorithm.ReadASN1ObjectIdentifier(&oid) {
		return nil, errPKCS8
	}
	switch {
	case oid.Equal(oidRSA):
		return parseRSA(algorithm, key)
	case oid.Equal(oidEC):
		curve, err := parseCurve(algorithm)
		if err != nil {
			return nil, err
		}
		return parseEC(curve, key)
	}
	return nil, errors.New("is a PKCS #8 key that is neither RSA nor EC")
}

// parseRSA reads RSAPrivateKey (RFC 8017 appendix A.1.2) of two primes.
func parseRSA(parameters, key cryptobyte.String) (*rsa.PrivateKey, error) {
	var null cryptobyte.String
	if !parameters.Empty() && (!parameters.ReadASN1(&null, cbasn1.NULL) || !null.Empty() || !parameters.Empty()) {
		return nil, errPKCS8
	}
	private, err := x509.ParsePKCS1PrivateKey(key) // which also validates
	if err != nil || len(private.Primes) != 2 {
		return nil, errors.New("is not a consistent RSA private key of two primes")
	}
	return private, nil
}

// parseEC reads ECPrivateKey (RFC 5915 section 3). Parameters and public key
// may be absent; where they are present they must be those of the key.
func parseEC(curve elliptic.Curve, der cryptobyte.String) (*ecdsa.PrivateKey, error) {
	var inner, scalar, parameters, public cryptobyte.String
	var version int
	var hasParameters, hasPublic bool
	if !der.ReadASN1(&inner, cbasn1.SEQUENCE) || !der.Empty() ||
		!inner.ReadASN1Integer(&version) || version != 1 ||
		!inner.ReadASN1(&scalar, cbasn1.OCTET_STRING) ||
		!inner.ReadOptionalASN1(&parameters, &hasParameters, tagECParams) ||
		!inner.ReadOptionalASN1(&public, &hasPublic, tagECPublic) || !inner.Empty() {
		return nil, errECPrivate
	}
	if hasParameters {
		if again, err := parseCurve(parameters); err != nil || again != curve {
			return nil, errors.New("names two curves")
		}
	}
	private, err := parseScalar(curve, scalar)
	if err != nil || !hasPublic {
		return private, err
	}
	return private, checkPublic(public, &private.PublicKey)
}

// parseScalar pads a short scalar and drops one leading zero: RFC 5915 fixes
// the length, but not every encoder keeps to it.
func parseScalar(curve elliptic.Curve, scalar []byte) (*ecdsa.PrivateKey, error) {
	width := (curve.Params().BitSize + 7) / 8
	if len(scalar) == width+1 && scalar[0] == 0 {
		scalar = scalar[1:]
	}
	if len(scalar) > width {
		return nil, errors.New("has an EC private scalar longer than the curve")
	}
	fixed := make([]byte, width)
	defer clear(fixed)
	copy(fixed[width-len(scalar):], scalar)
	return jwk.ParseScalar(curve, fixed)
}

func checkPublic(der cryptobyte.String, public *ecdsa.PublicKey) error {
	var bits asn1.BitString
	if !der.ReadASN1BitString(&bits) || !der.Empty() || bits.BitLength%8 != 0 {
		return errECPrivate
	}
	point, err := jwk.PointBytes(public)
	if err != nil {
		return err
	}
	if !isPoint(bits.Bytes, point) {
		return errors.New("holds an EC public key that does not belong to its private key")
	}
	return nil
}

// isPoint says whether data encodes the given uncompressed point, compressed or
// not (SEC 1 version 2.0 section 2.3.3).
func isPoint(data, point []byte) bool {
	compressed := bytes.Clone(point[:1+len(point)/2])
	compressed[0] = 2 | point[len(point)-1]&1
	return bytes.Equal(data, point) || bytes.Equal(data, compressed)
}

// marshalPKCS8 writes RSA keys and keys on the four curves; crypto/x509 does
// not know secp256k1.
func marshalPKCS8(private crypto.PrivateKey) ([]byte, error) {
	key, isEC := private.(*ecdsa.PrivateKey)
	if !isEC {
		return x509.MarshalPKCS8PrivateKey(private)
	}
	oid, err := oidOf(key.Curve)
	if err != nil {
		return nil, err
	}
	scalar, err := jwk.ScalarBytes(key)
	if err != nil {
		return nil, err
	}
	defer clear(scalar)
	point, err := jwk.PointBytes(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	return marshalEC(oid, scalar, point)
}

// marshalEC leaves the parameters of ECPrivateKey out, as they are in the
// algorithm identifier (RFC 5915 section 3).
func marshalEC(oid asn1.ObjectIdentifier, scalar, point []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidEC)
			b.AddASN1ObjectIdentifier(oid)
		})
		b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1OctetString(scalar)
				b.AddASN1(tagECPublic, func(b *cryptobyte.Builder) { b.AddASN1BitString(point) })
			})
		})
	})
	return b.Bytes()
}
