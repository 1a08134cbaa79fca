package hsm

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"

	"skr/internal/jwk"
	"skr/internal/secmem"
)

// Key is a released key, private or symmetric. It redacts itself wherever it
// is printed. Whoever has it last calls [Key.Wipe]; it must not be used from
// several goroutines while that happens.
//
// Making a key leaves traces on the heap that Wipe does not reach: big.Int
// values and the strings of a JWK.
type Key struct {
	id  string
	jwk []byte // nil once wiped
}

var errWiped = errors.New("hsm: the key was wiped")

func newKey(key jwk.Key) (*Key, error) {
	text, err := json.Marshal(key)
	if err != nil {
		return nil, fmt.Errorf("hsm: writing the key as JWK: %w", err)
	}
	return &Key{id: key.Kid, jwk: text}, nil
}

// JWK is the key as a JSON Web Key with its private members. Its kid is
// [Key.ID] and its key_ops are the vault's. The caller wipes the copy.
func (k *Key) JWK() ([]byte, error) {
	if k.jwk == nil {
		return nil, errWiped
	}
	return bytes.Clone(k.jwk), nil
}

// PEM is the key as PKCS #8 in PEM, an EC key with its curve's name and its
// public part, whatever form the vault sent it in. A symmetric key has no such
// form. The caller wipes it.
func (k *Key) PEM() ([]byte, error) {
	if k.jwk == nil {
		return nil, errWiped
	}
	key, err := jwk.Parse(k.jwk)
	if err != nil {
		return nil, fmt.Errorf("hsm: reading the key back: %w", err)
	}
	if key.Type() == symmetric {
		return nil, errors.New("hsm: a symmetric key has no PEM form")
	}
	private, err := key.PrivateKey()
	if err != nil {
		return nil, fmt.Errorf("hsm: reading the key back: %w", err)
	}
	der, err := marshalPKCS8(private)
	if err != nil {
		return nil, fmt.Errorf("hsm: writing the key as PKCS #8: %w", err)
	}
	defer secmem.Wipe(der)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ID is the full key identifier with its version. It is no secret.
func (k *Key) ID() string { return k.id }

// Clone is a key of its own, which needs its own [Key.Wipe].
func (k *Key) Clone() *Key {
	return &Key{k.id, bytes.Clone(k.jwk)}
}

// Wipe overwrites the key. It may be called again.
func (k *Key) Wipe() {
	secmem.Wipe(k.jwk)
	k.jwk = nil
}

// String redacts.
func (k *Key) String() string { return redacted }

// GoString redacts the %#v form.
func (k *Key) GoString() string { return redacted }

// Format redacts every verb.
func (k *Key) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redacted)) }

// LogValue redacts in log/slog.
func (k *Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts; [Key.JWK] is the way to the key.
func (k *Key) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

var (
	_ fmt.Formatter  = (*Key)(nil)
	_ slog.LogValuer = (*Key)(nil)
	_ json.Marshaler = (*Key)(nil)
)
