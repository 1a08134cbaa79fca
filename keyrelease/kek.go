package keyrelease

import (
	"context"
	"crypto/rsa"

	"skr/attest"
	"skr/hsm"
	"skr/internal/jose/keywrap"
)

// KEK is the key pair that a vault wraps a key to: a pair in the memory of this process,
// or one that never leaves the virtual TPM.
type KEK interface {
	// Decrypter returns what decrypts with the private half until ctx ends.
	Decrypter(ctx context.Context) keywrap.Decrypter
}

var (
	_ KEK = (*hsm.KEK)(nil)
	_ KEK = attest.GuestKey(nil)
)

// provenKEK returns a KEK and evidence that binds it. If the evidence includes a key of the
// TPM, that key is the KEK: it cannot leave the machine.
func (r *Releaser) provenKEK(ctx context.Context) (KEK, *attest.Evidence, error) {
	platform, err := r.attester.Platform(ctx)
	if err != nil {
		return nil, nil, err
	}
	if platform.HasTPM() {
		evidence, err := r.attester.Evidence(ctx, nil)
		if err != nil {
			return nil, nil, err
		}
		return evidence.Guest.Key, evidence, nil
	}
	made, err := r.newKEK(ctx)
	if err != nil {
		return nil, nil, err
	}
	if evidence := made.ahead(r.now()); evidence != nil {
		return made.kek, evidence, nil
	}
	evidence, err := r.attester.Evidence(ctx, made.kek.RuntimeData())
	return made.kek, evidence, err
}

// guest is the key of the TPM, and the statements that it was used with. The key is the
// same for each attestation until a PCR changes.
type guest struct {
	key  *rsa.PublicKey
	seen *hsm.Statements
}

func isGuest(kek KEK) bool {
	_, is := kek.(attest.GuestKey)
	return is
}

// statements returns the statements that the KEK was used with. A new pair has none.
func (r *Releaser) statements(kek KEK) *hsm.Statements {
	key, is := kek.(attest.GuestKey)
	if !is {
		return new(hsm.Statements)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if public := key.RSA(); r.guest.key == nil || !r.guest.key.Equal(public) {
		r.guest = guest{public, new(hsm.Statements)}
	}
	return r.guest.seen
}
