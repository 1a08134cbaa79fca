// Package keywrap implements the key wrapping with which Key Vault and Managed HSM release a
// key: CKM_RSA_AES_KEY_WRAP (PKCS #11 version 2.40, current mechanisms, section 2.1.21) and
// two variants with SHA-2.
//
// The wrapped form consists of two parts. The first is an ephemeral AES-256 key, encrypted
// with RSA-OAEP to the receiver's public key (the KEK). It is exactly as long as the KEK's
// modulus. The second is the payload, wrapped with that AES key by AES-KWP (RFC 5649). It is
// 8 bytes longer than the payload padded to a multiple of 8.
//
//	ciphertext, err := keywrap.Wrap(rand.Reader, &kek.PublicKey, keywrap.RSA256, payload)
//	payload, err := keywrap.Unwrap(decrypter, keywrap.RSA256, ciphertext)
//
// AES-KWP authenticates the payload to the AES key, but anyone can wrap to a public key. The
// caller must prove the origin of a payload in another way.
package keywrap

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // OAEP with SHA-1 is the vault's default algorithm
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/tink-crypto/tink-go/v2/kwp/subtle"
)

// Algorithm is a value of the vault's "enc" (Azure REST API specification, Key
// Vault 7.4, KeyEncryptionAlgorithm).
type Algorithm string

// The algorithms differ in the hash of RSA-OAEP, which is also used for MGF1.
const (
	CKM    Algorithm = "CKM_RSA_AES_KEY_WRAP" // SHA-1
	RSA256 Algorithm = "RSA_AES_KEY_WRAP_256" // SHA-256
	RSA384 Algorithm = "RSA_AES_KEY_WRAP_384" // SHA-384
)

// Sizes in bytes. The bounds of the payload come from the AES-KWP implementation. The
// smallest wrapped payload has 16 bytes and the header.
const (
	aesKeySize = 32
	kwpBlock   = 8 // RFC 5649 section 3: 64-bit semiblocks
	minPayload = subtle.MinWrapSize
	maxPayload = subtle.MaxWrapSize
)

// The errors of Unwrap. They only tell which part failed.
var (
	// ErrLength: the ciphertext cannot be two parts for this KEK.
	ErrLength = errors.New("the wrapped key has an impossible length")
	// ErrKEK: the first part cannot be decrypted: it is for another KEK, or was altered.
	ErrKEK = errors.New("the ephemeral AES key does not open with this KEK")
	// ErrIntegrity: the second part does not belong to the first.
	ErrIntegrity = errors.New("the wrapped key does not pass its integrity check")
)

// ParseAlgorithm parses a value of "enc".
func ParseAlgorithm(text string) (Algorithm, error) {
	if a := Algorithm(text); a.valid() {
		return a, nil
	}
	return "", fmt.Errorf("algorithm %.40q is not known", text)
}

func (a Algorithm) valid() bool { return a == CKM || a == RSA256 || a == RSA384 }

// Hash returns the hash of RSA-OAEP and its MGF1; zero for an unknown algorithm.
func (a Algorithm) Hash() crypto.Hash {
	switch a {
	case CKM:
		return crypto.SHA1
	case RSA256:
		return crypto.SHA256
	case RSA384:
		return crypto.SHA384
	}
	return 0
}

func (a Algorithm) newHash() hash.Hash {
	switch a {
	case RSA256:
		return sha256.New()
	case RSA384:
		return sha512.New384()
	}
	return sha1.New() //nolint:gosec // see the import
}

// Decrypter decrypts RSA-OAEP with the given hash for label and MGF1, and an empty label.
// Keys in memory and keys in a TPM implement it.
type Decrypter interface {
	// DecryptOAEP returns the plain text, which the caller wipes. All failures have
	// the same error, whatever part of the padding is wrong.
	DecryptOAEP(hash crypto.Hash, ciphertext []byte) ([]byte, error)
	// Size returns the length of the modulus in bytes.
	Size() int
}

// Wrap returns the wrapped form of a payload of 16 to 8192 bytes, as the vault makes it. The
// emulator and the tests use it. A nil random means crypto/rand.
func Wrap(random io.Reader, pub *rsa.PublicKey, a Algorithm, plaintext []byte) ([]byte, error) {
	if !a.valid() {
		return nil, fmt.Errorf("algorithm %.40q is not known", string(a))
	}
	if random == nil {
		random = rand.Reader
	}
	aesKey := make([]byte, aesKeySize)
	defer clear(aesKey)
	if _, err := io.ReadFull(random, aesKey); err != nil {
		return nil, fmt.Errorf("making the ephemeral AES key: %w", err)
	}
	first, err := rsa.EncryptOAEP(a.newHash(), random, pub, aesKey, nil)
	if err != nil {
		return nil, fmt.Errorf("encrypting the ephemeral AES key: %w", err)
	}
	second, err := wrapPayload(aesKey, plaintext)
	if err != nil {
		return nil, err
	}
	return slices.Concat(first, second), nil
}

func wrapPayload(aesKey, plaintext []byte) ([]byte, error) {
	kwp, err := subtle.NewKWP(aesKey)
	if err != nil {
		return nil, fmt.Errorf("preparing AES-KWP: %w", err)
	}
	wrapped, err := kwp.Wrap(plaintext)
	if err != nil {
		return nil, fmt.Errorf("wrapping the payload: %w", err)
	}
	return wrapped, nil
}

// Unwrap returns the payload of the wrapped form, which the caller wipes. The error wraps
// [ErrLength], [ErrKEK] or [ErrIntegrity].
func Unwrap(d Decrypter, a Algorithm, ciphertext []byte) ([]byte, error) {
	if !a.valid() {
		return nil, fmt.Errorf("algorithm %.40q is not known", string(a))
	}
	size := d.Size()
	if size <= 0 || !possible(len(ciphertext)-size) {
		return nil, ErrLength
	}
	aesKey, err := d.DecryptOAEP(a.Hash(), ciphertext[:size])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKEK, err)
	}
	defer clear(aesKey)
	return unwrapPayload(aesKey, ciphertext[size:])
}

// possible reports whether a payload wrapped with AES-KWP can have this length.
func possible(wrapped int) bool {
	return wrapped >= kwpBlock+minPayload && wrapped <= kwpBlock+maxPayload && wrapped%kwpBlock == 0
}

// unwrapPayload omits the library's reason: RFC 5649 section 3 requires the same answer to
// each failure.
func unwrapPayload(aesKey, wrapped []byte) ([]byte, error) {
	if len(aesKey) != aesKeySize {
		return nil, ErrIntegrity
	}
	kwp, err := subtle.NewKWP(aesKey)
	if err != nil {
		return nil, ErrIntegrity
	}
	plaintext, err := kwp.Unwrap(wrapped)
	if err != nil {
		return nil, ErrIntegrity
	}
	return plaintext, nil
}
