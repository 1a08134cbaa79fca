package hsm

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"

	"skr/internal/jose/jwk"
	"skr/internal/jose/keywrap"
)

const redacted = "[redacted]"

// KEK is an RSA pair made in the guest, which the vault wraps the key to. The private half
// has no accessor: [KEK.Decrypter] can decrypt what was wrapped, and nothing else.
type KEK struct {
	opener      keywrap.Decrypter
	runtimeData []byte
}

// NewKEK returns a new pair of 2048, 3072 or 4096 bits.
func NewKEK(bits int) (*KEK, error) {
	if bits != 2048 && bits != 3072 && bits != 4096 {
		return nil, fmt.Errorf("a KEK has 2048, 3072 or 4096 bits, not %d", bits)
	}
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, fmt.Errorf("making the KEK: %w", err)
	}
	return kekFrom(private)
}

func kekFrom(private *rsa.PrivateKey) (*KEK, error) {
	data, err := runtimeData(&private.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("describing the KEK: %w", err)
	}
	return &KEK{keywrap.NewDecrypter(private), data}, nil
}

// wrappingKey is the KEK in the runtime data. A vault uses the first key whose key_ops
// has "encrypt" ("Azure Key Vault secure key release policy grammar",
// section "Environment Assertion"). The members are in alphabetical order, as
// Microsoft Azure Attestation sorts those of x-ms-runtime.
type wrappingKey struct {
	E      string   `json:"e"`
	KeyOps []string `json:"key_ops"`
	Kid    string   `json:"kid"`
	Kty    string   `json:"kty"`
	N      string   `json:"n"`
}

func runtimeData(pub *rsa.PublicKey) ([]byte, error) {
	key, err := jwk.FromPublic(pub)
	if err != nil {
		return nil, err
	}
	thumbprint, err := key.Thumbprint()
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Keys []wrappingKey `json:"keys"`
	}{[]wrappingKey{{key.E, []string{"encrypt"}, thumbprint, key.Kty, key.N}}})
}

// RuntimeData returns the JWKS of the public half. Exactly these bytes are hashed into
// REPORT_DATA and sent to the Verifier.
func (k *KEK) RuntimeData() []byte { return slices.Clone(k.runtimeData) }

// Decrypter returns a decrypter for what was wrapped to this KEK. It ignores the context,
// which only a key in a TPM needs.
func (k *KEK) Decrypter(context.Context) keywrap.Decrypter { return k.opener }

// String redacts.
func (k *KEK) String() string { return redacted }

// Format redacts every verb.
func (k *KEK) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redacted)) }

// LogValue redacts in log/slog.
func (k *KEK) LogValue() slog.Value { return slog.StringValue(redacted) }

var (
	_ fmt.Formatter  = (*KEK)(nil)
	_ slog.LogValuer = (*KEK)(nil)
)
