package keyuse

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" //nolint:gosec // RSA-OAEP of RFC 7518 section 4.3 uses SHA-1
	_ "crypto/sha256"
	_ "crypto/sha512"

	"skr/internal/jose/keywrap"
)

type rsaKey struct{ private *rsa.PrivateKey }

func (k rsaKey) erase() { keywrap.Erase(k.private) }

func (k rsaKey) public() crypto.PublicKey { return &k.private.PublicKey }

func (k rsaKey) do(op Operation, in Input, limits Limits) (Output, error) {
	switch op {
	case Encrypt, WrapKey:
		return k.seal(in, limits)
	case Decrypt, UnwrapKey:
		return k.open(in, limits)
	case Sign:
		return k.sign(in)
	case Verify:
		return k.verify(in)
	}
	return Output{}, ErrAlgorithm
}

// rsa15 is RSAES-PKCS1-v1_5 (RFC 7518 section 4.2).
const rsa15 = "RSA1_5"

// oaepHashes are the hashes of the label and of MGF1 (RFC 7518 section 4.3).
var oaepHashes = map[string]crypto.Hash{"RSA-OAEP": crypto.SHA1, "RSA-OAEP-256": crypto.SHA256}

func (k rsaKey) seal(in Input, limits Limits) (output Output, err error) {
	public := &k.private.PublicKey
	hash, known := oaepHashes[in.Algorithm]
	switch {
	case known:
		output.Value, err = rsa.EncryptOAEP(hash.New(), rand.Reader, public, in.Value, nil)
	case in.Algorithm == rsa15 && limits.SessionKey > 0:
		output.Value, err = rsa.EncryptPKCS1v15(rand.Reader, public, in.Value) //nolint:staticcheck // the operator asks for it
	default:
		return output, ErrAlgorithm
	}
	if err != nil {
		return Output{}, ErrInput // longer than the modulus
	}
	return output, nil
}

func (k rsaKey) open(in Input, limits Limits) (output Output, err error) {
	hash, known := oaepHashes[in.Algorithm]
	switch {
	case known:
		output.Value, err = rsa.DecryptOAEP(hash.New(), nil, k.private, in.Value, nil)
	case in.Algorithm == rsa15 && limits.SessionKey > 0:
		output.Value, err = k.openSessionKey(in.Value, limits.SessionKey)
	default:
		return output, ErrAlgorithm
	}
	if err != nil {
		return Output{}, ErrOpen
	}
	return output, nil
}

// openSessionKey returns size random bytes if the padding is wrong.
func (k rsaKey) openSessionKey(ciphertext []byte, size int) ([]byte, error) {
	key := make([]byte, size)
	_, _ = rand.Read(key)                                                 // never fails
	err := rsa.DecryptPKCS1v15SessionKey(nil, k.private, ciphertext, key) //nolint:staticcheck // the operator asks for it
	return key, err
}

// signing is an algorithm of RFC 7518 sections 3.3 and 3.5.
type signing struct {
	hash crypto.Hash
	pss  bool
}

var rsaSignings = map[string]signing{
	"RS256": {hash: crypto.SHA256}, "RS384": {hash: crypto.SHA384}, "RS512": {hash: crypto.SHA512},
	"PS256": {crypto.SHA256, true}, "PS384": {crypto.SHA384, true}, "PS512": {crypto.SHA512, true},
}

// The salt is as long as the hash (RFC 7518 section 3.5).
var saltAsHash = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}

func (k rsaKey) sign(in Input) (output Output, err error) {
	with, known := rsaSignings[in.Algorithm]
	switch {
	case !known:
		return output, ErrAlgorithm
	case len(in.Value) != with.hash.Size():
		return output, ErrInput
	case with.pss:
		output.Value, err = rsa.SignPSS(rand.Reader, k.private, with.hash, in.Value, saltAsHash)
	default:
		output.Value, err = rsa.SignPKCS1v15(nil, k.private, with.hash, in.Value)
	}
	return output, err
}

func (k rsaKey) verify(in Input) (Output, error) { return verifyRSA(&k.private.PublicKey, in) }

func verifyRSA(public *rsa.PublicKey, in Input) (Output, error) {
	with, known := rsaSignings[in.Algorithm]
	if !known {
		return Output{}, ErrAlgorithm
	}
	if len(in.Digest) != with.hash.Size() {
		return Output{}, ErrInput
	}
	if with.pss {
		return Output{Valid: rsa.VerifyPSS(public, with.hash, in.Digest, in.Value, saltAsHash) == nil}, nil
	}
	return Output{Valid: rsa.VerifyPKCS1v15(public, with.hash, in.Digest, in.Value) == nil}, nil
}
