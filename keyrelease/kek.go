package keyrelease

import (
	"context"

	"skr/attest"
	"skr/hsm"
	"skr/internal/keywrap"
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
