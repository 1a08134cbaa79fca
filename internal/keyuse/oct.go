package keyuse

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/subtle"
	"strconv"

	"skr/internal/secmem"
)

// octKey is a symmetric key.
type octKey struct{ held *secmem.Buffer }

func newOct(secret []byte) octKey { return octKey{secmem.Hold(secret)} }

func (k octKey) erase() { k.held.Wipe() }

func (octKey) public() crypto.PublicKey { return nil }

func (k octKey) do(op Operation, in Input, _ Limits) (output Output, err error) {
	wiped := k.held.Use(func(secret []byte) error {
		output, err = octDo(secret, op, in)
		return nil
	})
	if wiped != nil {
		return Output{}, wiped
	}
	return output, err
}

func octDo(secret []byte, op Operation, in Input) (Output, error) {
	switch op {
	case Sign, Verify:
		return authenticate(secret, op, in)
	case WrapKey, UnwrapKey:
		return keyWrap(secret, op, in)
	}
	size, mode, ok := cutSize(in.Algorithm)
	if !ok || size != len(secret) {
		return Output{}, ErrAlgorithm
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return Output{}, ErrAlgorithm
	}
	switch mode {
	case "GCM":
		return gcm(block, op, in)
	case "CBC":
		return cbc(block, op, in, false)
	case "CBCPAD":
		return cbc(block, op, in, true)
	}
	return Output{}, ErrAlgorithm
}

// cutSize splits A128GCM into 16 bytes and GCM.
func cutSize(algorithm string) (size int, mode string, ok bool) {
	if len(algorithm) < 4 || algorithm[0] != 'A' {
		return 0, "", false
	}
	bits, err := strconv.Atoi(algorithm[1:4])
	return bits / 8, algorithm[4:], err == nil && (bits == 128 || bits == 192 || bits == 256)
}

var macs = map[string]crypto.Hash{"HS256": crypto.SHA256, "HS384": crypto.SHA384, "HS512": crypto.SHA512}

// authenticate makes or verifies the HMAC of what the caller sends in the place of a digest.
// UNCONFIRMED: whether the vault takes the message or only a digest of the hash's length. A
// digest has the same HMAC both ways.
func authenticate(secret []byte, op Operation, in Input) (Output, error) {
	hash, known := macs[in.Algorithm]
	if !known || len(secret) < hash.Size() { // RFC 7518 section 3.2
		return Output{}, ErrAlgorithm
	}
	digest := in.Value
	if op == Verify {
		digest = in.Digest
	}
	if len(digest) != hash.Size() {
		return Output{}, ErrInput
	}
	mac := hmac.New(hash.New, secret)
	mac.Write(digest)
	sum := mac.Sum(nil)
	if op == Verify {
		return Output{Valid: hmac.Equal(sum, in.Value)}, nil
	}
	return Output{Value: sum}, nil
}

// The lengths in bytes that Key Vault has for AES-GCM.
const gcmNonce, gcmTag = 12, 16

// gcm makes the IV itself when it encrypts: an IV that occurs twice would reveal the key of
// the authentication (NIST SP 800-38D section 8).
func gcm(block cipher.Block, op Operation, in Input) (Output, error) {
	if op == Encrypt {
		return sealGCM(block, in)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return Output{}, ErrAlgorithm
	}
	if len(in.IV) != aead.NonceSize() || len(in.Tag) != aead.Overhead() {
		return Output{}, ErrInput
	}
	sealed := append(append(make([]byte, 0, len(in.Value)+len(in.Tag)), in.Value...), in.Tag...)
	opened, err := aead.Open(sealed[:0], in.IV, sealed, in.AAD)
	if err != nil {
		return Output{}, ErrOpen
	}
	return Output{Value: opened}, nil
}

func sealGCM(block cipher.Block, in Input) (Output, error) {
	if in.IV != nil || in.Tag != nil {
		return Output{}, ErrInput
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return Output{}, ErrAlgorithm
	}
	sealed := aead.Seal(nil, nil, in.Value, in.AAD) //nolint:gosec // the AEAD makes a random nonce
	end := len(sealed) - gcmTag
	return Output{IV: sealed[:gcmNonce:gcmNonce], Value: sealed[gcmNonce:end:end], Tag: sealed[end:]}, nil
}

// cbc encrypts whole blocks, or pads as in PKCS #7 (RFC 5652 section 6.3). It authenticates
// nothing. A caller that may decrypt altered ciphertexts learns the plain text from the errors.
func cbc(block cipher.Block, op Operation, in Input, pads bool) (Output, error) {
	if len(in.IV) != aes.BlockSize || in.AAD != nil || in.Tag != nil {
		return Output{}, ErrInput
	}
	if op == Encrypt {
		return sealCBC(block, in, pads)
	}
	if len(in.Value) == 0 || len(in.Value)%aes.BlockSize != 0 {
		return Output{}, ErrOpen
	}
	opened := make([]byte, len(in.Value))
	cipher.NewCBCDecrypter(block, in.IV).CryptBlocks(opened, in.Value)
	if !pads {
		return Output{Value: opened}, nil
	}
	size, ok := padding(opened)
	if !ok {
		secmem.Wipe(opened)
		return Output{}, ErrOpen
	}
	return Output{Value: opened[:len(opened)-size]}, nil
}

func sealCBC(block cipher.Block, in Input, pads bool) (Output, error) {
	padded := append(make([]byte, 0, len(in.Value)+aes.BlockSize), in.Value...)
	defer secmem.Wipe(padded[:cap(padded)])
	if pads {
		size := aes.BlockSize - len(padded)%aes.BlockSize
		for range size {
			padded = append(padded, byte(size))
		}
	}
	if len(padded) == 0 || len(padded)%aes.BlockSize != 0 {
		return Output{}, ErrInput
	}
	sealed := make([]byte, len(padded))
	cipher.NewCBCEncrypter(block, in.IV).CryptBlocks(sealed, padded)
	return Output{Value: sealed, IV: in.IV}, nil
}

// padding returns the length of the padding of whole blocks, in a time that does not depend
// on their content.
func padding(blocks []byte) (size int, ok bool) {
	last := blocks[len(blocks)-1]
	good := subtle.ConstantTimeLessOrEq(1, int(last)) & subtle.ConstantTimeLessOrEq(int(last), aes.BlockSize)
	for i := 1; i <= aes.BlockSize; i++ {
		inside := subtle.ConstantTimeLessOrEq(i, int(last))
		same := subtle.ConstantTimeByteEq(blocks[len(blocks)-i], last)
		good &= same | (1 - inside)
	}
	return int(last), good == 1
}
