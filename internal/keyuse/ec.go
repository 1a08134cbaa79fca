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
	switch private.Curve {
	case elliptic.P256():
		return &ecKey{private, nil, "ES256", crypto.SHA256}, nil
	case elliptic.P384():
		return &ecKey{private, nil, "ES384", crypto.SHA384}, nil
	case elliptic.P521():
		return &ecKey{private, nil, "ES512", crypto.SHA512}, nil
	case jwk.P256K():
		scalar, err := jwk.ScalarBytes(private)
		if err != nil {
			return nil, fmt.Errorf("reading the scalar: %w", err)
		}
		defer clear(scalar)
		return &ecKey{private, secp256k1.PrivKeyFromBytes(scalar), "ES256K", crypto.SHA256}, nil
	}
	return nil, errors.New("the curve has no signature algorithm")
}

func (k *ecKey) erase() {
	clear(k.private.D.Bits()) //nolint:staticcheck // what is deprecated still holds the scalar
	if k.k256 != nil {
		k.k256.Zero()
	}
}

func (k *ecKey) public() crypto.PublicKey { return &k.private.PublicKey }

func (k *ecKey) do(op Operation, in Input, _ Limits) (Output, error) {
	digest := in.Value
	if op == Verify {
		digest = in.Digest
	}
	switch {
	case op != Sign && op != Verify || in.Algorithm != k.algorithm:
		return Output{}, ErrAlgorithm
	case len(digest) != k.hash.Size():
		return Output{}, ErrInput
	case op == Verify:
		return Output{Valid: k.verify(digest, in.Value)}, nil
	}
	r, s, err := k.sign(digest)
	if err != nil {
		return Output{}, err
	}
	width := k.width()
	signature := make([]byte, 2*width)
	r.FillBytes(signature[:width])
	s.FillBytes(signature[width:])
	return Output{Value: signature}, nil
}

func (k *ecKey) width() int { return (k.private.Curve.Params().BitSize + 7) / 8 }

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

func (k *ecKey) verify(digest, signature []byte) bool {
	width := k.width()
	if len(signature) != 2*width {
		return false
	}
	if k.k256 == nil {
		r, s := new(big.Int).SetBytes(signature[:width]), new(big.Int).SetBytes(signature[width:])
		return ecdsa.Verify(&k.private.PublicKey, digest, r, s)
	}
	var r, s secp256k1.ModNScalar
	if r.SetByteSlice(slices.Clone(signature[:width])) || s.SetByteSlice(slices.Clone(signature[width:])) {
		return false // not below the order of the curve
	}
	return p256k.NewSignature(&r, &s).Verify(digest, k.k256.PubKey())
}
