package hsm

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"

	"skr/internal/jose/jwk"
	"skr/internal/secmem"
)

// Key is a released key, private or symmetric, in protected memory. It redacts
// itself wherever it is printed. Its last user calls [Key.Wipe].
//
// Making a key leaves copies in crypto/rsa and crypto/ecdsa on the heap, which Wipe does
// not reach.
type Key struct {
	id         string
	policyHash string
	validity   Validity
	held       *secmem.Buffer // its JWK
}

// JWK returns the key as a JSON Web Key with its private members. It has the vault's
// key_ops and no kid, which is [Key.ID]. The caller wipes the copy.
func (k *Key) JWK() (text []byte, err error) {
	err = k.held.Use(func(secret []byte) error { text = bytes.Clone(secret); return nil })
	return text, err
}

// Answer returns encode of the JWK in protected memory. It is made once for the key and
// its clones, and kept as long as one of them. The caller wipes it. It is nil if the key
// was wiped.
func (k *Key) Answer(encode func(jwk []byte) []byte) *secmem.Buffer { return k.held.Derived(encode) }

// Opened is a key in the form that its algorithms need.
type Opened interface {
	// Erase overwrites the key. Uses that have begun end first, and later ones fail.
	Erase()
}

// Open returns the result of open, which is called with the JWK, once for the key and its
// clones. The opened key is erased when the last of them is wiped: its users must keep one
// until they are done. open must not keep the JWK, and must not return a nil Opened without
// an error.
func (k *Key) Open(open func(jwk []byte) (Opened, error)) (Opened, error) {
	return k.held.Attach(func(jwk []byte) (secmem.Attachment, error) { return open(jwk) })
}

// PEM returns the key as PKCS #8 in PEM. An EC key has the name of its curve and its public
// part, in whichever form the vault sent it. PEM returns an error for a symmetric key. The
// caller wipes the result.
func (k *Key) PEM() (text []byte, err error) {
	secmem.Do(func() {
		err = k.held.Use(func(secret []byte) error { text, err = pemOf(secret); return err })
	})
	return text, err
}

// Raw returns the bytes of a symmetric key. It returns an error for any other key. The
// caller wipes the result.
func (k *Key) Raw() (raw []byte, err error) {
	secmem.Do(func() {
		err = k.held.Use(func(secret []byte) error { raw, err = rawOf(secret); return err })
	})
	return raw, err
}

func rawOf(text []byte) ([]byte, error) {
	key, err := jwk.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading the key back: %w", err)
	}
	if key.Type() != symmetric {
		return nil, fmt.Errorf("a key of type %s has no raw form", key.Type())
	}
	return base64.RawURLEncoding.DecodeString(key.K)
}

func pemOf(text []byte) ([]byte, error) {
	key, err := jwk.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading the key back: %w", err)
	}
	if key.Type() == symmetric {
		return nil, errors.New("a symmetric key has no PEM form")
	}
	private, err := key.PrivateKey()
	if err != nil {
		return nil, fmt.Errorf("reading the key back: %w", err)
	}
	defer erase(private)
	der, err := marshalPKCS8(private)
	if err != nil {
		return nil, fmt.Errorf("writing the key as PKCS #8: %w", err)
	}
	defer secmem.Wipe(der)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ID returns the full key identifier with its version. It is not secret.
func (k *Key) ID() string { return k.id }

// PolicyHash returns the SHA-256, in lower-case hex, of the bytes of the release policy in
// the vault's statement. It is empty if the statement has no readable policy. It is not
// secret.
func (k *Key) PolicyHash() string { return k.policyHash }

// Validity returns the time bounds of the key, which do not bound its release.
func (k *Key) Validity() Validity { return k.validity }

// Clone returns a copy of the key, which needs its own [Key.Wipe].
func (k *Key) Clone() *Key { return &Key{k.id, k.policyHash, k.validity, k.held.Clone()} }

// Wipe overwrites the key. It may be called more than once, and on a nil key.
func (k *Key) Wipe() {
	if k != nil {
		k.held.Wipe()
	}
}

// String redacts.
func (k *Key) String() string { return redacted }

// GoString redacts the %#v form.
func (k *Key) GoString() string { return redacted }

// Format redacts every verb.
func (k *Key) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redacted)) }

// LogValue redacts in log/slog.
func (k *Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts. Use [Key.JWK] to get the key.
func (k *Key) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

var (
	_ fmt.Formatter  = (*Key)(nil)
	_ slog.LogValuer = (*Key)(nil)
	_ json.Marshaler = (*Key)(nil)
)
