package keyuse

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/ecdsa"
	"crypto/rsa"
	"slices"
)

// Elsewhere is a key whose private part is elsewhere: it checks what is sent there and what
// comes back.
type Elsewhere struct {
	// Public is an *rsa.PublicKey or *ecdsa.PublicKey, or nil for a symmetric key.
	Public crypto.PublicKey
}

// Check checks an input. Its errors are those of [Key.Do]. RSA1_5 is refused. The size of a
// symmetric key is not known here.
func (e Elsewhere) Check(op Operation, in Input) error {
	if in.hasUnused(op, e.Public == nil) {
		return ErrInput
	}
	switch op {
	case Sign, Verify:
		return e.checkDigest(op, in)
	case Encrypt, Decrypt, WrapKey, UnwrapKey:
	default:
		return ErrAlgorithm
	}
	switch e.Public.(type) {
	case *rsa.PublicKey:
		if oaepHashes[in.Algorithm] == 0 {
			return ErrAlgorithm
		}
		return nil
	case nil:
		return checkSymmetric(op, in)
	}
	return ErrAlgorithm
}

func (e Elsewhere) checkDigest(op Operation, in Input) error {
	size := e.digestSize(in.Algorithm)
	digest := in.Value
	if op == Verify {
		digest = in.Digest
	}
	switch {
	case size == 0:
		return ErrAlgorithm
	case len(digest) != size:
		return ErrInput
	}
	return nil
}

// digestSize returns 0 if the key has no such algorithm.
func (e Elsewhere) digestSize(algorithm string) int {
	var hash crypto.Hash
	switch public := e.Public.(type) {
	case *rsa.PublicKey:
		hash = rsaSignings[algorithm].hash
	case *ecdsa.PublicKey:
		if its, of := ecAlgorithm(public.Curve); its == algorithm {
			hash = of
		}
	case nil:
		hash = macs[algorithm]
	}
	if hash == 0 {
		return 0
	}
	return hash.Size()
}

func checkSymmetric(op Operation, in Input) error {
	_, mode, sized := cutSize(in.Algorithm)
	wraps := op == WrapKey || op == UnwrapKey
	switch {
	case wraps && (sized && mode == "KW" || slices.Contains([]string{"CKM_AES_KEY_WRAP", "CKM_AES_KEY_WRAP_PAD"}, in.Algorithm)):
		return nil
	case wraps || !sized:
		return ErrAlgorithm
	case mode == "GCM":
		return checkGCM(op, in)
	case mode == "CBC" || mode == "CBCPAD":
		if len(in.IV) != aes.BlockSize || in.AAD != nil || in.Tag != nil {
			return ErrInput
		}
		return nil
	}
	return ErrAlgorithm
}

// checkGCM: the nonce and the tag are made by the encryption.
func checkGCM(op Operation, in Input) error {
	if op == Encrypt && (in.IV != nil || in.Tag != nil) || op == Decrypt && (len(in.IV) != gcmNonce || len(in.Tag) != gcmTag) {
		return ErrInput
	}
	return nil
}

// Accepts reports whether an output can be the result of the operation on the input. A
// signature must verify, the verdict on a signature must be the right one, and the lengths
// must fit.
func (e Elsewhere) Accepts(op Operation, in Input, out Output) bool {
	if public, isRSA := e.Public.(*rsa.PublicKey); isRSA && (op == Encrypt || op == WrapKey) {
		return len(out.Value) == public.Size() && out.IV == nil && out.Tag == nil
	} else if isRSA && (op == Decrypt || op == UnwrapKey) {
		return len(out.Value) <= public.Size()-2*oaepHashes[in.Algorithm].Size()-2 // RFC 8017 section 7.1.1
	}
	switch {
	case op == Sign && e.Public == nil:
		return len(out.Value) == e.digestSize(in.Algorithm)
	case op == Sign:
		return e.verify(Input{Algorithm: in.Algorithm, Digest: in.Value, Value: out.Value})
	case op == Verify:
		return e.Public == nil || e.verify(in) == out.Valid
	}
	return fits(op, in, out)
}

func (e Elsewhere) verify(in Input) bool {
	var out Output
	switch public := e.Public.(type) {
	case *rsa.PublicKey:
		out, _ = verifyRSA(public, in) // an error leaves it not valid
	case *ecdsa.PublicKey:
		out, _ = verifyEC(public, in)
	}
	return out.Valid
}

// fits checks the lengths of AES.
func fits(op Operation, in Input, out Output) bool {
	_, mode, _ := cutSize(in.Algorithm)
	given, got := len(in.Value), len(out.Value)
	if op == Decrypt || op == UnwrapKey {
		given, got = got, given
	}
	switch {
	case op != Encrypt:
	case mode == "GCM" && (len(out.IV) != gcmNonce || len(out.Tag) != gcmTag):
		return false
	case mode != "GCM" && (out.Tag != nil || out.IV != nil && !bytes.Equal(out.IV, in.IV)):
		return false
	}
	switch {
	case mode == "CBCPAD":
		return got == given+aes.BlockSize-given%aes.BlockSize
	case mode == "GCM" || mode == "CBC":
		return got == given
	case in.Algorithm == "CKM_AES_KEY_WRAP_PAD":
		return got == (given+7)/8*8+8 // RFC 5649 section 4.1
	}
	return got == given+8 // RFC 3394 section 2.2.1
}
