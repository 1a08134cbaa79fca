package vault

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strconv"

	josecipher "github.com/go-jose/go-jose/v4/cipher"
	kwp "github.com/tink-crypto/tink-go/v2/kwp/subtle"
)

// The operations of symmetric keys (Azure REST API specification, Key Vault 7.4,
// JsonWebKeyEncryptionAlgorithm). The service makes the IV of AES-GCM, and answers with what a
// decryption needs.

const gcmTag = 16 // bytes

// sealSecret encrypts or wraps.
func sealSecret(secret []byte, algorithm string, in parts) (parts, error) {
	block, mode, err := blockFor(secret, algorithm)
	if err != nil {
		return parts{}, err
	}
	switch mode {
	case "KWP":
		padded, err := kwp.NewKWP(secret)
		if err != nil {
			return parts{}, faultAlgorithm()
		}
		wrapped, err := padded.Wrap(in.value)
		if err != nil {
			return parts{}, faultOperation()
		}
		return parts{value: wrapped}, nil
	case "KW":
		wrapped, err := josecipher.KeyWrap(block, in.value)
		if err != nil {
			return parts{}, faultOperation()
		}
		return parts{value: wrapped}, nil
	case "GCM":
		if len(in.iv) > 0 {
			return parts{}, faultOperation()
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return parts{}, err
		}
		iv := make([]byte, aead.NonceSize())
		_, _ = rand.Read(iv) // never fails
		sealed := aead.Seal(nil, iv, in.value, in.aad)
		end := len(sealed) - gcmTag
		return parts{value: sealed[:end], iv: iv, tag: sealed[end:], aad: in.aad}, nil
	}
	value := in.value
	if mode == "CBCPAD" {
		size := aes.BlockSize - len(value)%aes.BlockSize
		value = append(bytes.Clone(value), bytes.Repeat([]byte{byte(size)}, size)...)
	}
	if len(in.iv) != aes.BlockSize || len(value) == 0 || len(value)%aes.BlockSize != 0 {
		return parts{}, faultOperation()
	}
	sealed := make([]byte, len(value))
	cipher.NewCBCEncrypter(block, in.iv).CryptBlocks(sealed, value)
	return parts{value: sealed, iv: in.iv}, nil
}

// openSecret decrypts or unwraps.
func openSecret(secret []byte, algorithm string, in parts) (parts, error) {
	block, mode, err := blockFor(secret, algorithm)
	if err != nil {
		return parts{}, err
	}
	switch mode {
	case "KWP":
		padded, err := kwp.NewKWP(secret)
		if err != nil {
			return parts{}, faultAlgorithm()
		}
		unwrapped, err := padded.Unwrap(in.value)
		if err != nil {
			return parts{}, faultOperation()
		}
		return parts{value: unwrapped}, nil
	case "KW":
		if len(in.value) < 24 || len(in.value)%8 != 0 {
			return parts{}, faultOperation()
		}
		unwrapped, err := josecipher.KeyUnwrap(block, in.value)
		if err != nil {
			return parts{}, faultOperation()
		}
		return parts{value: unwrapped}, nil
	case "GCM":
		aead, err := cipher.NewGCM(block)
		if err != nil || len(in.iv) != aead.NonceSize() || len(in.tag) != gcmTag {
			return parts{}, faultOperation()
		}
		opened, err := aead.Open(nil, in.iv, append(bytes.Clone(in.value), in.tag...), in.aad)
		if err != nil {
			return parts{}, faultOperation()
		}
		return parts{value: opened}, nil
	}
	if len(in.iv) != aes.BlockSize || len(in.value) == 0 || len(in.value)%aes.BlockSize != 0 {
		return parts{}, faultOperation()
	}
	opened := make([]byte, len(in.value))
	cipher.NewCBCDecrypter(block, in.iv).CryptBlocks(opened, in.value)
	if mode == "CBC" {
		return parts{value: opened}, nil
	}
	size := int(opened[len(opened)-1])
	if size == 0 || size > aes.BlockSize || !bytes.HasSuffix(opened, bytes.Repeat([]byte{byte(size)}, size)) {
		return parts{}, faultOperation()
	}
	return parts{value: opened[:len(opened)-size]}, nil
}

// blockFor returns the cipher for an algorithm such as A256GCM, whose size must be the key's.
func blockFor(secret []byte, algorithm string) (cipher.Block, string, error) {
	size, mode := strconv.Itoa(8*len(secret)), ""
	for _, known := range []string{"GCM", "CBC", "CBCPAD", "KW"} {
		if algorithm == "A"+size+known {
			mode = known
		}
	}
	switch algorithm {
	case "CKM_AES_KEY_WRAP":
		mode = "KW"
	case "CKM_AES_KEY_WRAP_PAD":
		mode = "KWP"
	}
	if mode == "" {
		return nil, "", faultAlgorithm()
	}
	block, err := aes.NewCipher(secret)
	return block, mode, err
}

// macOf returns the HMAC of a digest, or false for another algorithm.
func macOf(secret []byte, algorithm string, digest []byte) ([]byte, bool) {
	hashes := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}
	made := hashes[algorithm]
	if made == nil {
		return nil, false
	}
	mac := hmac.New(made, secret)
	if len(digest) != mac.Size() || len(secret) < mac.Size() {
		return nil, false
	}
	mac.Write(digest)
	return mac.Sum(nil), true
}
