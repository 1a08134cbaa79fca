package hsm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"

	"skr/internal/jose/jwk"
	"skr/internal/jose/keywrap"
	"skr/internal/refusal"
	"skr/internal/secmem"
)

// symmetric is the type of a key without a public part (RFC 7518 section 6.4).
const symmetric = "oct"

// maxOct is the longest symmetric key of a managed HSM, in bytes.
const maxOct = 64

// WrappedKey is a key from a vault: wrapped to a KEK, and described by a statement that was
// verified.
type WrappedKey struct {
	id         string // full, with version
	policyHash string // may be empty
	validity   Validity
	kind       string // RSA, EC or oct
	keyOps     []string
	public     crypto.PublicKey // nil for oct
	algorithm  keywrap.Algorithm
	ciphertext []byte
	unfamiliar string // an unusual description of the member, for errors; or ""
}

// ID returns the full key identifier with its version.
func (w *WrappedKey) ID() string { return w.id }

// Validity returns the time bounds of the key, which do not bound its release.
func (w *WrappedKey) Validity() Validity { return w.validity }

// Unwrap decrypts the key with the KEK and compares it with the public part in the
// statement, which a symmetric key does not have. It refuses with [refusal.Untrusted]. It
// returns the errors of d that are [refusal.NoEvidence], [refusal.Throttled], or the error
// of a context.
func (w *WrappedKey) Unwrap(d keywrap.Decrypter) (key *Key, err error) {
	secmem.Do(func() { key, err = w.unwrap(d) })
	return key, err
}

func (w *WrappedKey) unwrap(d keywrap.Decrypter) (*Key, error) {
	plaintext, err := keywrap.Unwrap(d, w.algorithm, w.ciphertext)
	if errors.Is(err, refusal.NoEvidence) || errors.Is(err, refusal.Throttled) {
		return nil, fmt.Errorf("unwrapping the key: %w", err) // the TPM fails, not the vault
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("unwrapping the key: %w", err) // the caller did not wait for the TPM
	}
	if err != nil {
		return nil, w.untrusted(unwrapReason(err), err)
	}
	defer secmem.Wipe(plaintext)
	if w.kind == symmetric {
		return w.symmetricKey(plaintext)
	}
	private, err := parsePKCS8(plaintext)
	if err != nil {
		return nil, w.untrusted("the released key is malformed", err)
	}
	defer erase(private)
	if err := w.matches(private); err != nil {
		return nil, w.untrusted("the released private key does not belong to the vault's public key", err)
	}
	return w.privateKey(private)
}

// untrusted adds an unusual description to the reason: the key may have another format.
func (w *WrappedKey) untrusted(reason string, err error) error {
	if w.unfamiliar != "" {
		reason += "; it describes itself with " + w.unfamiliar + ", which this version does not know"
	}
	return untrusted(reason, err)
}

func unwrapReason(err error) string {
	switch {
	case errors.Is(err, keywrap.ErrLength):
		return "the released key cannot be wrapped to this guest's KEK; its length does not fit"
	case errors.Is(err, keywrap.ErrKEK):
		return "the released key is wrapped to another KEK; attest again"
	}
	return "the released key was altered after it was wrapped"
}

func (w *WrappedKey) matches(private crypto.PrivateKey) error {
	fits := false
	switch private := private.(type) {
	case *rsa.PrivateKey:
		fits = private.PublicKey.Equal(w.public)
	case *ecdsa.PrivateKey:
		fits = private.PublicKey.Equal(w.public)
	}
	if !fits {
		return fmt.Errorf("a %T does not fit the statement's %T", private, w.public)
	}
	return nil
}

func (w *WrappedKey) privateKey(private crypto.PrivateKey) (*Key, error) {
	public, err := jwk.FromPublic(w.public)
	if err != nil {
		return nil, untrusted("the released key is malformed", err)
	}
	secret, err := secretMembers(private)
	if err != nil {
		return nil, untrusted("the released key is malformed", err)
	}
	return w.finish(public.Registered(), secret)
}

func (w *WrappedKey) symmetricKey(secret []byte) (*Key, error) {
	if len(secret) > maxOct {
		return nil, untrusted("the released key is malformed", fmt.Errorf("a symmetric key of %d bytes", len(secret)))
	}
	return w.finish(jwk.Key{Kty: symmetric}, []member{{"k", secret}})
}

// finish encodes a JWK without a kid: callers of the reference sidecar, whose JWK has none,
// derive keys from "kid, or else the name". [Key.ID] is the identifier.
func (w *WrappedKey) finish(public jwk.Key, secret []member) (*Key, error) {
	public.KeyOps = w.keyOps
	text, err := privateJWK(public, secret)
	if err != nil {
		return nil, err
	}
	return &Key{w.id, w.policyHash, secmem.Hold(text)}, nil
}
