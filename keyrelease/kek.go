package keyrelease

import (
	"sync"

	"skr/hsm"
)

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
