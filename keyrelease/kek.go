package keyrelease

import (
	"context"
	"sync"

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
	kek, err := r.newKEK()
	if err != nil {
		return nil, nil, err
	}
	evidence, err := r.attester.Evidence(ctx, kek.RuntimeData())
	return kek, evidence, err
}

// spareKEK is a pair made ahead of need: making one takes longer than all other
// work of ours in a release.
type spareKEK struct {
	mu  sync.Mutex
	kek *hsm.KEK
}

// Prepare makes the next KEK while nobody waits for it.
func (r *Releaser) Prepare() error {
	kek, err := hsm.NewKEK(r.kekBits)
	if err != nil {
		return err
	}
	r.spare.mu.Lock()
	defer r.spare.mu.Unlock()
	r.spare.kek = kek
	return nil
}

// newKEK takes the spare, which is then gone: no pair is attested twice.
func (r *Releaser) newKEK() (*hsm.KEK, error) {
	r.spare.mu.Lock()
	kek := r.spare.kek
	r.spare.kek = nil
	r.spare.mu.Unlock()
	if kek != nil {
		return kek, nil
	}
	return hsm.NewKEK(r.kekBits)
}
