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

// Guest is what the virtual TPM of an Azure machine says of what was started on it.
type Guest struct {
	// HCL is the paravisor's: claims, over whose bytes the processor reports. Nil with
	// Trusted Launch.
	HCL *vtpm.HCLReport
	// AK is the attestation key, a TPM2B_PUBLIC, and Certificate what Azure says of
	// it: DER. Only on a confidential VM may Certificate be empty: nothing rests on it
	// there.
	AK, Certificate []byte
	// Quote is the AK's statement over PCRs. Its nonce is the SHA-256 of the runtime
	// data, or empty without such.
	Quote tpm.Attestation
	// PCRs are the values of PCR 0 to 7, SHA-256.
	PCRs vtpm.PCRs
	// Log is the firmware's event log; empty if there is none, or if LogErr.
	Log []byte
	// LogErr says why a log that is there cannot be used.
	LogErr error
	// Key is what a vault wraps to; Certification is the AK's statement that it is
	// in the same TPM.
	Key           GuestKey
	Certification tpm.Attestation
}

// GuestKey is an RSA key that only this machine's TPM can use, and only while it
// is what it was when the evidence was made.
type GuestKey interface {
	// RSA is the public half, Area the same as TPM2B_PUBLIC.
	RSA() *rsa.PublicKey
	Area() []byte
	// DecryptRSAES opens RSAES-PKCS1-v1_5. The caller wipes the plain text. The
	// error wraps refusal.NoEvidence if it is the TPM's fault, or
	// refusal.Throttled if the TPM is busy.
	DecryptRSAES(ctx context.Context, ciphertext []byte) ([]byte, error)
	// Decrypter opens RSA-OAEP, within ctx; errors are as above.
	Decrypter(ctx context.Context) keywrap.Decrypter
}

// sealedKey tells the TPM's faults from those of what is to be opened.
type sealedKey struct{ *tpm.EphemeralKey }

var _ GuestKey = sealedKey{}

func (k sealedKey) DecryptRSAES(ctx context.Context, ciphertext []byte) ([]byte, error) {
	plaintext, err := k.EphemeralKey.DecryptRSAES(ctx, ciphertext)
	return plaintext, blame(ctx, err)
}

func (k sealedKey) Decrypter(ctx context.Context) keywrap.Decrypter {
	return sealedDecrypter{k.EphemeralKey.Decrypter(ctx), ctx}
}

// sealedDecrypter has a context because keywrap's interface, that of a
// computation, has none.
type sealedDecrypter struct {
	keywrap.Decrypter

	ctx context.Context
}

func (d sealedDecrypter) DecryptOAEP(hash crypto.Hash, ciphertext []byte) ([]byte, error) {
	plaintext, err := d.Decrypter.DecryptOAEP(hash, ciphertext)
	return plaintext, blame(d.ctx, err)
}

// blame says whose fault it is that something does not open: a TPM that was asked
// and says no found the padding wrong.
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
	case ctx.Err() != nil: // the caller left; the failure is not the fault of the TPM
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return refusal.Because(refusal.NoEvidence, "the virtual TPM did not open what is wrapped to its key; this sidecar's log says why", err)
}
