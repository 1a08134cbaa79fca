// Package keyuse performs the cryptographic operations of Key Vault with a released key, so
// that the key need not leave the process (Azure REST API specification, Key Vault 7.4:
// encrypt, decrypt, sign, verify, wrapKey, unwrapKey).
//
//	key, err := keyuse.Open(released) // takes milliseconds for RSA, once for all clones of released
//	output, err := key.Do(keyuse.Decrypt, keyuse.Input{Algorithm: "RSA-OAEP-256", Value: ciphertext}, keyuse.Limits{})
//
// A key performs the operations of its key_ops (RFC 7517 section 4.3), with the algorithms
// of its type:
//
//	RSA  encrypt, decrypt, wrapKey, unwrapKey  RSA-OAEP, RSA-OAEP-256; RSA1_5 with a [Limits]
//	RSA  sign, verify                          RS256, RS384, RS512, PS256, PS384, PS512
//	EC   sign, verify                          ES256, ES256K, ES384, ES512, one for each curve
//	oct  encrypt, decrypt                      A128GCM, A128CBC, A128CBCPAD; also 192 and 256
//	oct  wrapKey, unwrapKey                    A128KW, A192KW, A256KW, CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PAD
//	oct  sign, verify                          HS256, HS384, HS512
//
// Signatures of EC keys are r and s in the width of the curve (RFC 7518 section 3.4). Data to
// sign is a digest that the caller made. The package keeps no key and asks no service.
package keyuse

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"sync"

	"skr/hsm"
	"skr/internal/jose/jwk"
	"skr/internal/secmem"
)

// Operation is an operation with a key, by its name in key_ops.
type Operation string

// The operations.
const (
	Encrypt   Operation = "encrypt"
	Decrypt   Operation = "decrypt"
	Sign      Operation = "sign"
	Verify    Operation = "verify"
	WrapKey   Operation = "wrapKey"
	UnwrapKey Operation = "unwrapKey"
)

// NeedsValidity reports whether the vault refuses the operation outside the validity of the
// key ("About keys", section "Date-time controlled operations",
// learn.microsoft.com/azure/key-vault/keys/about-keys).
func (op Operation) NeedsValidity() bool { return op == Encrypt || op == WrapKey || op == Sign }

// Operations returns all operations.
func Operations() []Operation { return []Operation{Decrypt, Encrypt, Sign, UnwrapKey, Verify, WrapKey} }

// The errors of [Key.Do]. None tells more about a ciphertext than that it does not open.
var (
	// ErrOperation: the key_ops of the key do not list the operation.
	ErrOperation = errors.New("the key_ops of the key do not allow this operation")
	// ErrAlgorithm: a key of this type and size has no such algorithm for the operation.
	ErrAlgorithm = errors.New("this key has no such algorithm for this operation")
	// ErrInput: a part of the input has a wrong length, or is missing.
	ErrInput = errors.New("the input does not fit the algorithm")
	// ErrOpen: the ciphertext was made for another key or was altered.
	ErrOpen = errors.New("the data does not open with this key")
	// ErrErased: the released key and all its clones were wiped.
	ErrErased = errors.New("the key was erased")
)

// Input of an operation.
type Input struct {
	// Algorithm is a name of RFC 7518 or of Key Vault, such as "RSA-OAEP-256".
	Algorithm string
	// Value is the text to encrypt or decrypt, the key to wrap or unwrap, the digest to
	// sign, or the signature to verify.
	Value []byte
	// Digest is what the signature is compared with; only for Verify.
	Digest []byte
	// IV has 16 bytes for AES-CBC, and 12 to decrypt AES-GCM. AES-GCM encrypts with an IV
	// of its own and refuses another.
	IV []byte
	// Tag has 16 bytes; only to decrypt AES-GCM.
	Tag []byte
	// AAD is authenticated and not encrypted; only for AES-GCM. It may be empty. A part that
	// the operation does not use is ErrInput.
	AAD []byte
}

// hasUnused reports whether the input has a part that the operation does not use: AAD that
// RSA ignores would not be authenticated.
func (in Input) hasUnused(op Operation, symmetric bool) bool {
	if !symmetric || op != Encrypt && op != Decrypt {
		if in.IV != nil || in.Tag != nil || in.AAD != nil {
			return true
		}
	}
	return op != Verify && in.Digest != nil
}

// Output of an operation. The caller wipes the Value of Decrypt and UnwrapKey.
type Output struct {
	Value []byte
	// IV and Tag are what Decrypt needs; only of Encrypt.
	IV, Tag []byte
	// Valid is the result of Verify.
	Valid bool
}

// Limits are what an operator permits beyond the default.
type Limits struct {
	// SessionKey is the length in bytes of the keys that UnwrapKey and Decrypt open with
	// RSA1_5. Zero refuses RSA1_5. A ciphertext with a wrong padding gives random bytes
	// of that length and no error, so that its sender learns nothing from the answer
	// (RFC 3218 section 2.3.2).
	SessionKey int
}

// Key is an opened key. It is safe for concurrent use.
type Key struct {
	id      string
	allowed []string

	mu     sync.RWMutex
	family family // nil once erased
}

// family performs the operations of one type of key.
type family interface {
	do(op Operation, in Input, limits Limits) (Output, error)
	// public returns nil if the key has no public part.
	public() crypto.PublicKey
	erase()
}

// Open parses a released key, once for the key and its clones. When the last of them is
// wiped, the opened key is erased: keep released until all operations are done. The copy of
// the private part is in memory that crypto/rsa and crypto/ecdsa allocate, which cannot be
// locked.
func Open(released *hsm.Key) (*Key, error) {
	opened, err := released.Open(func(text []byte) (hsm.Opened, error) { return open(released.ID(), text) })
	if err != nil {
		return nil, fmt.Errorf("opening the key: %w", err)
	}
	return opened.(*Key), nil //nolint:forcetypeassert // only this package opens keys
}

func open(id string, text []byte) (hsm.Opened, error) {
	var opened *Key
	var err error
	secmem.Do(func() { opened, err = parse(text) })
	if err != nil {
		return nil, err // not a nil *Key, which is an hsm.Opened
	}
	opened.id = id
	return opened, nil
}

// Erase overwrites what can be reached of the private part, and implements [hsm.Opened].
func (k *Key) Erase() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.family != nil {
		k.family.erase()
	}
	k.family = nil
}

// ID returns the full identifier of the key, with its version.
func (k *Key) ID() string { return k.id }

// Allows reports whether the key_ops list the operation. A key without key_ops allows all
// operations of its type.
func (k *Key) Allows(op Operation) bool {
	return len(k.allowed) == 0 || slices.Contains(k.allowed, string(op))
}

func (k *Key) isSymmetric() bool {
	_, symmetric := k.family.(octKey)
	return symmetric
}

// Do performs an operation. Its errors are those of this package.
func (k *Key) Do(op Operation, in Input, limits Limits) (Output, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	switch {
	case k.family == nil:
		return Output{}, ErrErased
	case !k.Allows(op):
		return Output{}, ErrOperation
	case in.hasUnused(op, k.isSymmetric()):
		return Output{}, ErrInput
	}
	return k.family.do(op, in, limits)
}

// DecryptOAEP opens RSA-OAEP without a label, whatever the key_ops are: the key provider
// protocol of ocicrypt has none.
func (k *Key) DecryptOAEP(hash crypto.Hash, ciphertext []byte) ([]byte, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.family == nil {
		return nil, ErrErased
	}
	private, isRSA := k.family.(rsaKey)
	if !isRSA {
		return nil, ErrAlgorithm
	}
	opened, err := rsa.DecryptOAEP(hash.New(), nil, private.private, ciphertext, nil)
	if err != nil {
		return nil, ErrOpen
	}
	return opened, nil
}

// Public returns the public part as a JWK with the names of RFC 7518, the identifier as kid
// and the key_ops. A symmetric key has only its type, as in the answers of Managed HSM.
func (k *Key) Public() (jwk.Key, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.family == nil {
		return jwk.Key{}, ErrErased
	}
	public := k.family.public()
	if public == nil {
		return jwk.Key{Kty: "oct", Kid: k.id, KeyOps: k.allowed}, nil
	}
	written, err := jwk.FromPublic(public)
	written.Kid, written.KeyOps = k.id, k.allowed
	return written.Registered(), err
}
