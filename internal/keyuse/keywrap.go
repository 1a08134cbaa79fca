package keyuse

import (
	"crypto/aes"
	"crypto/cipher"

	josecipher "github.com/go-jose/go-jose/v4/cipher"
	"github.com/tink-crypto/tink-go/v2/kwp/subtle"
)

// minWrapped is the shortest key that AES Key Wrap takes (RFC 3394 section 2).
const minWrapped = 16

// keyWrap wraps and unwraps keys with AES Key Wrap (RFC 3394), or with padding (RFC 5649).
func keyWrap(secret []byte, op Operation, in Input) (Output, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return Output{}, ErrAlgorithm
	}
	size, mode, sized := cutSize(in.Algorithm)
	switch {
	case in.Algorithm == "CKM_AES_KEY_WRAP", sized && mode == "KW" && size == len(secret):
		return wrap3394(block, op, in.Value)
	case in.Algorithm == "CKM_AES_KEY_WRAP_PAD":
		return wrap5649(secret, op, in.Value)
	}
	return Output{}, ErrAlgorithm
}

func wrap3394(block cipher.Block, op Operation, value []byte) (Output, error) {
	if op == WrapKey {
		if len(value) < minWrapped || len(value)%8 != 0 {
			return Output{}, ErrInput
		}
		wrapped, err := josecipher.KeyWrap(block, value)
		return Output{Value: wrapped}, err
	}
	if len(value) < minWrapped+8 || len(value)%8 != 0 {
		return Output{}, ErrOpen
	}
	unwrapped, err := josecipher.KeyUnwrap(block, value)
	if err != nil {
		return Output{}, ErrOpen
	}
	return Output{Value: unwrapped}, nil
}

// wrap5649 needs a key of 16 or 32 bytes, and wraps 16 to 8192.
func wrap5649(secret []byte, op Operation, value []byte) (Output, error) {
	kwp, err := subtle.NewKWP(secret)
	if err != nil {
		return Output{}, ErrAlgorithm
	}
	if op == WrapKey {
		wrapped, err := kwp.Wrap(value)
		if err != nil {
			return Output{}, ErrInput
		}
		return Output{Value: wrapped}, nil
	}
	unwrapped, err := kwp.Unwrap(value)
	if err != nil {
		return Output{}, ErrOpen
	}
	return Output{Value: unwrapped}, nil
}
