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
	// provenFor is how long evidence that was collected ahead may be used: what it says
	// about the platform, such as the TCB, may change while the machine runs.
	provenFor = time.Minute
	// provingTime bounds its collection. A release that needs the pair waits for it.
	provingTime = 5 * time.Second
)

// spareKEK is a KEK that is made ahead: making one takes longer than everything else
// that skr itself does in a release.
type spareKEK struct {
	bits int
	used atomic.Bool // the pair was used and its successor is not begun

	mu   sync.Mutex
	next *pair // ready or being made; nil if neither
}

// pair is a KEK that may still be in the making.
type pair struct {
	done chan struct{}
	kek  *hsm.KEK // valid after done
	err  error    // valid after done

	evidence *attest.Evidence // evidence collected ahead, or nil; valid after done
	proven   time.Time        // when it was collected; valid after done
}

// ahead returns the evidence collected ahead if it is recent enough, or nil.
func (p *pair) ahead(now time.Time) *attest.Evidence {
	if age := now.Sub(p.proven); p.evidence == nil || age < 0 || age >= provenFor {
		return nil
	}
	return p.evidence
}

// begin starts to make a pair, and then to prove it if prove is not nil.
func (s *spareKEK) begin(prove func(*pair)) *pair {
	p := &pair{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = crash.Guard(func() (err error) {
			p.kek, err = hsm.NewKEK(s.bits)
			return err
		})
		if p.err == nil && prove != nil {
			_ = crash.Guard(func() error { prove(p); return nil }) // a release runs into the same error
		}
	}()
	return p
}

// Prepare starts to make a KEK and to collect evidence for it: pods request their keys
// right after their start. It does nothing if a KEK is ready or in the making. With
// AttestationMaxAge 0, evidence is never collected ahead.
func (r *Releaser) Prepare() {
	if r.maxAge <= 0 {
		r.spare.prepare(nil)
		return
	}
	r.spare.prepare(r.prove)
}

// prove collects evidence ahead. It ignores errors: a release collects evidence again and
// reports why there is none. If a TPM has the KEK, this pair is not used.
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

// replenish starts to make the next pair after one was used. It runs when the release is
// over, which needs the processor for other things. It collects no evidence: by the time
// that the pair is needed, the evidence would be too old.
func (r *Releaser) replenish() {
	if r.spare.used.Swap(false) {
		r.spare.prepare(nil)
	}
}

// newKEK returns the spare pair, or a new one if there is no spare. No pair is returned
// twice. It waits for a pair that is still being made: another would not be ready sooner.
func (r *Releaser) newKEK(ctx context.Context) (*pair, error) {
	p := r.spare.remove()
	r.spare.used.Store(true)
	select {
	case <-p.done:
		return p, p.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *spareKEK) remove() *pair {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.next
	s.next = nil
	if p == nil {
		p = s.begin(nil)
	}
	return p
}
