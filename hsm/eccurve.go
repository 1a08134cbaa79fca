package hsm

import (
	"crypto/elliptic"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"skr/internal/jose/jwk"
)

// ecCurve is one of the four curves of Key Vault (Azure REST API specification,
// Key Vault 7.4, JsonWebKeyCurveName) with its name in DER.
type ecCurve struct {
	curve elliptic.Curve
	oid   asn1.ObjectIdentifier
	a     *big.Int // the coefficient that elliptic.CurveParams leaves out
}

// Names: RFC 5480 section 2.1.1.1; secp256k1: SEC 2 version 2.0 appendix A.2.1.
// The coefficient a is p-3 on NIST's curves (FIPS 186-4 appendix D.1.2) and 0
// on secp256k1 (SEC 2 version 2.0 section 2.4.1).
var ecCurves = []ecCurve{
	{elliptic.P256(), asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}, minusThree(elliptic.P256())},
	{elliptic.P384(), asn1.ObjectIdentifier{1, 3, 132, 0, 34}, minusThree(elliptic.P384())},
	{elliptic.P521(), asn1.ObjectIdentifier{1, 3, 132, 0, 35}, minusThree(elliptic.P521())},
	{jwk.P256K(), asn1.ObjectIdentifier{1, 3, 132, 0, 10}, new(big.Int)},
}

var oidPrimeField = asn1.ObjectIdentifier{1, 2, 840, 10045, 1, 1} // RFC 3279 section 2.3.5

var (
	errCurveName   = errors.New("is on a curve that is not supported")
	errCurveParams = errors.New("has EC parameters that are not in DER")
)

func minusThree(curve elliptic.Curve) *big.Int {
	return new(big.Int).Sub(curve.Params().P, big.NewInt(3))
}

func oidOf(curve elliptic.Curve) (asn1.ObjectIdentifier, error) {
	for _, known := range ecCurves {
		if known.curve == curve {
			return known.oid, nil
		}
	}
	return nil, errCurveName
}

// parseCurve parses EcpkParameters (RFC 3279 section 2.3.5): the name of a curve or its
// parameters.
func parseCurve(der cryptobyte.String) (elliptic.Curve, error) {
	if der.PeekASN1Tag(cbasn1.SEQUENCE) {
		return parseExplicit(der)
	}
	var oid asn1.ObjectIdentifier
	if !der.ReadASN1ObjectIdentifier(&oid) || !der.Empty() {
		return nil, errCurveParams
	}
	for _, known := range ecCurves {
		if known.oid.Equal(oid) {
			return known.curve, nil
		}
	}
	return nil, errCurveName
}

// explicitCurve is ECParameters of RFC 3279 section 2.3.5.
type explicitCurve struct {
	p, n, cofactor *big.Int // cofactor may be nil
	a, b, base     []byte
}

// parseExplicit accepts only the parameters of the four curves. Other parameters may
// describe a curve that is weak on purpose (CVE-2020-0601).
func parseExplicit(der cryptobyte.String) (elliptic.Curve, error) {
	e, ok := parseECParameters(der)
	if !ok {
		return nil, errCurveParams
	}
	i := slices.IndexFunc(ecCurves, e.is)
	if i < 0 {
		return nil, errCurveName
	}
	return ecCurves[i].curve, nil
}

func parseECParameters(der cryptobyte.String) (explicitCurve, bool) {
	e := explicitCurve{p: new(big.Int), n: new(big.Int)}
	var params cryptobyte.String
	var version int
	ok := der.ReadASN1(&params, cbasn1.SEQUENCE) && der.Empty() &&
		params.ReadASN1Integer(&version) && version == 1 &&
		e.parseFieldID(&params) &&
		e.parseCoefficients(&params) &&
		params.ReadASN1Bytes(&e.base, cbasn1.OCTET_STRING) &&
		params.ReadASN1Integer(e.n)
	if ok && !params.Empty() {
		e.cofactor = new(big.Int)
		ok = params.ReadASN1Integer(e.cofactor) && params.Empty()
	}
	return e, ok
}

// parseFieldID parses FieldID: a prime field and its prime.
func (e *explicitCurve) parseFieldID(params *cryptobyte.String) bool {
	var field cryptobyte.String
	var kind asn1.ObjectIdentifier
	return params.ReadASN1(&field, cbasn1.SEQUENCE) &&
		field.ReadASN1ObjectIdentifier(&kind) && kind.Equal(oidPrimeField) &&
		field.ReadASN1Integer(e.p) && field.Empty()
}

// parseCoefficients parses Curve: a, b and an optional seed. The seed shows how b was chosen.
// It is not needed, because b is compared.
func (e *explicitCurve) parseCoefficients(params *cryptobyte.String) bool {
	var curve cryptobyte.String
	var seed asn1.BitString
	return params.ReadASN1(&curve, cbasn1.SEQUENCE) &&
		curve.ReadASN1Bytes(&e.a, cbasn1.OCTET_STRING) && curve.ReadASN1Bytes(&e.b, cbasn1.OCTET_STRING) &&
		(curve.Empty() || curve.ReadASN1BitString(&seed) && curve.Empty())
}

// is reports whether all numbers equal those of known. The cofactor of all four curves is 1.
func (e explicitCurve) is(known ecCurve) bool {
	want := known.curve.Params()
	width := (want.BitSize + 7) / 8
	if len(e.a) > width || len(e.b) > width {
		return false
	}
	base := make([]byte, 1+2*width)
	base[0] = 4 // uncompressed
	want.Gx.FillBytes(base[1 : 1+width])
	want.Gy.FillBytes(base[1+width:])
	return e.p.Cmp(want.P) == 0 && e.n.Cmp(want.N) == 0 &&
		new(big.Int).SetBytes(e.a).Cmp(known.a) == 0 && new(big.Int).SetBytes(e.b).Cmp(want.B) == 0 &&
		isPoint(e.base, base) && (e.cofactor == nil || e.cofactor.Cmp(big.NewInt(1)) == 0)
}
