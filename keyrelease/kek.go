package keyrelease

import (
	"context"
	"crypto/rsa"

	"skr/attest"
	"skr/hsm"
	"skr/internal/jose/keywrap"
)

// KEK is what a vault wraps a key to: a pair in our memory, or one that the
// virtual TPM keeps.
type KEK interface {
	// Decrypter opens what was wrapped to it, within ctx.
	Decrypter(ctx context.Context) keywrap.Decrypter
}

var (
	_ KEK = (*hsm.KEK)(nil)
	_ KEK = attest.GuestKey(nil)
)

// provenKEK returns a KEK with evidence of it. Where evidence comes with a key of
// the TPM, that is the KEK: it cannot leave the machine.
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

// guest is the key of the TPM, which is the same for each attestation until a PCR
// changes, with what was released to it.
type guest struct {
	key  *rsa.PublicKey
	seen *hsm.Statements
}

func isGuest(kek KEK) bool {
	_, is := kek.(attest.GuestKey)
	return is
}

// statements are those that the KEK was used with: none for a new pair.
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
