package keyrelease

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"skr/attest"
	"skr/hsm"
	"skr/internal/crash"
)

const (
	// provenFor is how long evidence that was collected ahead serves: what it says of
	// the platform, such as its TCB, may change while the machine runs.
	provenFor = time.Minute
	// provingTime bounds its collection. Who waits for the pair waits for that too.
	provingTime = 5 * time.Second
)

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

	evidence *attest.Evidence // of the KEK, where it was collected ahead; valid after done
	proven   time.Time        // when that was; valid after done
}

// ahead is evidence that is young enough, or nil.
func (p *pair) ahead(now time.Time) *attest.Evidence {
	if age := now.Sub(p.proven); p.evidence == nil || age < 0 || age >= provenFor {
		return nil
	}
	return p.evidence
}

// begin makes a pair and then, if anything, what prove does.
func (s *spareKEK) begin(prove func(*pair)) *pair {
	p := &pair{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = crash.Guard(func() (err error) {
			p.kek, err = hsm.NewKEK(s.bits)
			return err
		})
		if p.err == nil && prove != nil {
			_ = crash.Guard(func() error { prove(p); return nil }) // a release will meet it again
		}
	}()
	return p
}

// Prepare begins to make a KEK, and to collect the evidence of it: pods ask for their
// keys right after their start. It does nothing where there is one. Who wants an
// attestation for each release wants evidence for it too.
func (r *Releaser) Prepare() {
	if r.maxAge <= 0 {
		r.spare.prepare(nil)
		return
	}
	r.spare.prepare(r.prove)
}

// prove collects evidence ahead. If there is none, a release will ask again, and tell
// why. Where a TPM has the KEK, this pair is of no use.
func (r *Releaser) prove(p *pair) {
	ctx, cancel := context.WithTimeout(context.Background(), provingTime)
	defer cancel()
	if platform, err := r.attester.Platform(ctx); err != nil || platform.HasTPM() {
		return
	}
	now := r.now()
	if evidence, err := r.attester.Evidence(ctx, p.kek.RuntimeData()); err == nil {
		p.evidence, p.proven = evidence, now
	}
}

func (s *spareKEK) prepare(prove func(*pair)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = s.begin(prove)
	}
}

// replenish makes the next pair after one was used, when the release that needed it is
// over: the processor was wanted for other things. Nobody knows when that pair will be
// needed, and evidence of it would be old by then.
func (r *Releaser) replenish() {
	if r.spare.used.Swap(false) {
		r.spare.prepare(nil)
	}
}

// newKEK takes the spare, which is then gone: no pair is attested twice. One that is
// still being made is worth the wait: another would not be ready before.
func (r *Releaser) newKEK(ctx context.Context) (*pair, error) {
	p := r.spare.take()
	r.spare.used.Store(true)
	select {
	case <-p.done:
		return p, p.err
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
		p = s.begin(nil)
	}
	return p
}
