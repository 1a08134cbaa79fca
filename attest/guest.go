package attest

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"

	"skr/attest/tpm"
	"skr/attest/vtpm"
	"skr/internal/jose/keywrap"
	"skr/internal/refusal"
)

// Guest is what the virtual TPM of an Azure machine says about what the machine booted.
type Guest struct {
	// HCL has the paravisor's claims, which the report or quote of the processor binds. Nil with
	// Trusted Launch.
	HCL *vtpm.HCLReport
	// AK is the attestation key, a TPM2B_PUBLIC, and Certificate is Azure's certificate
	// for it, in DER. Certificate may be empty on a confidential VM, where nothing
	// depends on it.
	AK, Certificate []byte
	// Quote is the AK's statement over PCRs. Its nonce is the SHA-256 of the runtime
	// data, empty without runtime data, or what [Attester.Verbatim] binds.
	Quote tpm.Attestation
	// PCRs are the quoted values, SHA-256: of PCR 0 to 7, or with [Attester.Verbatim] of all.
	PCRs vtpm.PCRs
	// Log is the firmware's event log; empty if it does not exist or cannot be used.
	Log []byte
	// LogErr is why an existing log cannot be used.
	LogErr error
	// Key is the key that a vault wraps to. Certification is the AK's statement that it
	// is in the same TPM.
	Key           GuestKey
	Certification tpm.Attestation
}

// GuestKey is an RSA key that only this machine's TPM can use, and only while the PCRs
// have the values that they had when the evidence was made.
type GuestKey interface {
	// RSA returns the public half, and Area the same as TPM2B_PUBLIC.
	RSA() *rsa.PublicKey
	Area() []byte
	// DecryptRSAES decrypts RSAES-PKCS1-v1_5. The caller wipes the plain text. The
	// error wraps refusal.NoEvidence if the TPM fails, and refusal.Throttled if it is
	// busy.
	DecryptRSAES(ctx context.Context, ciphertext []byte) ([]byte, error)
	// Decrypter returns a decrypter of RSA-OAEP that works until ctx ends. Its errors
	// are those of DecryptRSAES.
	Decrypter(ctx context.Context) keywrap.Decrypter
}

// sealedKey distinguishes the errors of the TPM from those of the ciphertext.
type sealedKey struct{ *tpm.EphemeralKey }

var _ GuestKey = sealedKey{}

func (k sealedKey) DecryptRSAES(ctx context.Context, ciphertext []byte) ([]byte, error) {
	plaintext, err := k.EphemeralKey.DecryptRSAES(ctx, ciphertext)
	return plaintext, blame(ctx, err)
}

func (k sealedKey) Decrypter(ctx context.Context) keywrap.Decrypter {
	return sealedDecrypter{k.EphemeralKey.Decrypter(ctx), ctx}
}

// sealedDecrypter has a context because the interface of package keywrap has none.
type sealedDecrypter struct {
	keywrap.Decrypter

	ctx context.Context
}

func (d sealedDecrypter) DecryptOAEP(hash crypto.Hash, ciphertext []byte) ([]byte, error) {
	plaintext, err := d.Decrypter.DecryptOAEP(hash, ciphertext)
	return plaintext, blame(d.ctx, err)
}

// blame returns the error of a decryption with its cause: the TPM, the ciphertext or the
// caller. A TPM that answers with an error has found wrong padding.
func blame(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, tpm.ErrChanged):
		return refusal.Because(refusal.NoEvidence, "this machine is not what it was when it was attested: "+tpm.ErrChanged.Error()+"; try again", err)
	case errors.Is(err, tpm.ErrCiphertext):
		return err
	case errors.Is(err, tpm.ErrBusy):
		return busy(err)
	case ctx.Err() != nil: // the caller left; the TPM did not fail
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return refusal.Because(refusal.NoEvidence, "the virtual TPM did not open what is wrapped to its key; this sidecar's log says why", err)
}
