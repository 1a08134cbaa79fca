package keyuse

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	p256k "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"skr/internal/jose/jwk"
)

// ecKey signs with one algorithm, which its curve determines (RFC 7518 section 3.4, RFC 8812
// section 3.2).
type ecKey struct {
	private   *ecdsa.PrivateKey
	k256      *secp256k1.PrivateKey // nil on NIST's curves
	algorithm string
	hash      crypto.Hash
}

func newEC(private *ecdsa.PrivateKey) (*ecKey, error) {
	algorithm, hash := ecAlgorithm(private.Curve)
	if algorithm == "" {
		return nil, errors.New("the curve has no signature algorithm")
	}
	if private.Curve != jwk.P256K() {
		return &ecKey{private, nil, algorithm, hash}, nil
	}
	scalar, err := jwk.ScalarBytes(private)
	if err != nil {
		return nil, fmt.Errorf("reading the scalar: %w", err)
	}
	defer clear(scalar)
	return &ecKey{private, secp256k1.PrivKeyFromBytes(scalar), algorithm, hash}, nil
}

// ecAlgorithm returns the only algorithm of a curve, or "".
func ecAlgorithm(curve elliptic.Curve) (string, crypto.Hash) {
	switch curve {
	case elliptic.P256():
		return "ES256", crypto.SHA256
	case elliptic.P384():
		return "ES384", crypto.SHA384
	case elliptic.P521():
		return "ES512", crypto.SHA512
	case jwk.P256K():
		return "ES256K", crypto.SHA256
	}
	return "", 0
}

func (k *ecKey) erase() {
	clear(k.private.D.Bits()) //nolint:staticcheck // what is deprecated still holds the scalar
	if k.k256 != nil {
		k.k256.Zero()
	}
}

func (k *ecKey) public() crypto.PublicKey { return &k.private.PublicKey }

func (k *ecKey) do(op Operation, in Input, _ Limits) (Output, error) {
	switch {
	case op == Verify:
		return verifyEC(&k.private.PublicKey, in)
	case op != Sign || in.Algorithm != k.algorithm:
		return Output{}, ErrAlgorithm
	case len(in.Value) != k.hash.Size():
		return Output{}, ErrInput
	}
	r, s, err := k.sign(in.Value)
	if err != nil {
		return Output{}, err
	}
	width := widthOf(k.private.Curve)
	signature := make([]byte, 2*width)
	r.FillBytes(signature[:width])
	s.FillBytes(signature[width:])
	return Output{Value: signature}, nil
}

func widthOf(curve elliptic.Curve) int { return (curve.Params().BitSize + 7) / 8 }

// sign uses decred's implementation for secp256k1, because crypto/ecdsa's takes a variable
// time on curves that are not NIST's.
func (k *ecKey) sign(digest []byte) (r, s *big.Int, err error) {
	if k.k256 == nil {
		return ecdsa.Sign(rand.Reader, k.private, digest)
	}
	signature := p256k.Sign(k.k256, digest)
	rScalar, sScalar := signature.R(), signature.S()
	rBytes, sBytes := rScalar.Bytes(), sScalar.Bytes()
	return new(big.Int).SetBytes(rBytes[:]), new(big.Int).SetBytes(sBytes[:]), nil
}

func verifyEC(public *ecdsa.PublicKey, in Input) (Output, error) {
	algorithm, hash := ecAlgorithm(public.Curve)
	switch {
	case in.Algorithm != algorithm:
		return Output{}, ErrAlgorithm
	case len(in.Digest) != hash.Size():
		return Output{}, ErrInput
	}
	return Output{Valid: validEC(public, in.Digest, in.Value)}, nil
}

func validEC(public *ecdsa.PublicKey, digest, signature []byte) bool {
	width := widthOf(public.Curve)
	if len(signature) != 2*width {
		return false
	}
	if public.Curve != jwk.P256K() {
		r, s := new(big.Int).SetBytes(signature[:width]), new(big.Int).SetBytes(signature[width:])
		return ecdsa.Verify(public, digest, r, s)
	}
	var r, s secp256k1.ModNScalar
	if r.SetByteSlice(slices.Clone(signature[:width])) || s.SetByteSlice(slices.Clone(signature[width:])) {
		return false // not below the order of the curve
	}
	point, err := jwk.PointBytes(public)
	if err != nil {
		return false
	}
	key, err := secp256k1.ParsePubKey(point)
	return err == nil && p256k.NewSignature(&r, &s).Verify(digest, key)
}
