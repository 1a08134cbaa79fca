package keyrelease

import (
	"context"
	"sync"
	"sync/atomic"

	"skr/attest"
	"skr/hsm"
	"skr/internal/crash"
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
	kek, err := r.newKEK(ctx)
	if err != nil {
		return nil, nil, err
	}
	evidence, err := r.attester.Evidence(ctx, kek.RuntimeData())
	return kek, evidence, err
}

// spareKEK is a pair made ahead of need: making one takes longer than all other
// work of ours in a release.
type spareKEK struct {
	bits int
	used atomic.Bool // a pair was taken, and no next one begun

	mu   sync.Mutex
	next *pair // ready or being made; nil if there is none
}

// pair may still be in the making.
type pair struct {
	done chan struct{}
	kek  *hsm.KEK // valid after done
	err  error    // valid after done
}

func (s *spareKEK) begin() *pair {
	p := &pair{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = crash.Guard(func() (err error) {
			p.kek, err = hsm.NewKEK(s.bits)
			return err
		})
	}()
	return p
}

// Prepare begins to make the next KEK, unless there is one.
func (r *Releaser) Prepare() {
	s := &r.spare
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = s.begin()
	}
}

// replenish makes the next pair after one was used, when what needed it is done: the
// processor was wanted for other things.
func (r *Releaser) replenish() {
	if r.spare.used.Swap(false) {
		r.Prepare()
	}
}

// newKEK takes the spare, which is then gone: no pair is attested twice. One that is
// still being made is worth the wait: another would not be ready before.
func (r *Releaser) newKEK(ctx context.Context) (*hsm.KEK, error) {
	p := r.spare.take()
	r.spare.used.Store(true)
	select {
	case <-p.done:
		return p.kek, p.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *spareKEK) take() *pair {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.next
	s.next = nil
	if p == nil {
		p = s.begin()
	}
	return p
}
