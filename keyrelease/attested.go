package keyrelease

import (
	"context"
	"errors"
	"time"

	"skr/attest"
	"skr/hsm"
	"skr/internal/cache"
	"skr/internal/observe/journal"
	"skr/internal/refusal"
)

const (
	// expiryMargin keeps a token from expiring between our check and the
	// vault's, also with clocks that differ by the usual five minutes.
	expiryMargin = 5 * time.Minute
	// doubtAge is how old a pair must be to be dropped when a release with it is
	// refused: what it attests may have changed since. Younger ones are kept, so
	// that a release that cannot succeed does not attest each time.
	doubtAge = time.Minute
	// maxAuthorities bounds the attested KEKs of one caller: a pattern of the
	// allow-list may allow any number of hosts.
	maxAuthorities = 16
)

// attestedKEK is a pair and the token that vouches for it.
type attestedKEK struct {
	kek    KEK
	result *attest.Result
	made   time.Time
	seen   *hsm.Statements // with which the KEK was used
}

// attestedKEK returns the authority's pair while it is fresh, and else a new one.
func (r *Releaser) attestedKEK(ctx context.Context, req Request) (*attestedKEK, error) {
	if r.maxAge <= 0 {
		return r.attestKEK(ctx, req)
	}
	authority := req.Authority
	held := r.fresh(ctx, authority)
	journal.Looked(ctx, journal.Attestation, held != nil)
	if held != nil {
		return held, nil
	}
	return r.attestations.Do(ctx, authority, func(ctx context.Context) (*attestedKEK, error) {
		// A flight that landed between the look and the take-off has left one.
		if held := r.fresh(ctx, authority); held != nil {
			return held, nil
		}
		made, err := r.attestKEK(ctx, req)
		if err == nil {
			r.keep(ctx, authority, made)
		}
		return made, err
	})
}

func (r *Releaser) attestKEK(ctx context.Context, req Request) (*attestedKEK, error) {
	made := r.now()
	if r.maxAge <= 0 {
		defer r.replenish() // the next release needs one too
	}
	appraising := r.approach(ctx, req)
	kek, evidence, err := r.provenKEK(ctx)
	if err != nil {
		return nil, err
	}
	result, err := r.appraise(appraising, req.Authority, evidence)
	if err != nil {
		return nil, err
	}
	return &attestedKEK{kek, result, made, r.statements(kek)}, nil
}

func (r *Releaser) fresh(ctx context.Context, authority attest.Authority) *attestedKEK {
	r.mu.Lock()
	defer r.mu.Unlock()
	held, found := r.attested.Get(cache.Caller(ctx), authority)
	if !found || !r.isFresh(held) {
		return nil
	}
	return held
}

// isFresh also refuses a pair from the future, where the clock was set back, and one
// that could not remember further statements.
func (r *Releaser) isFresh(a *attestedKEK) bool {
	now := r.now()
	return !now.Before(a.made) && now.Before(a.made.Add(r.maxAge)) && now.Before(a.result.Expires.Add(-expiryMargin)) &&
		(isGuest(a.kek) || !a.seen.Full())
}

func (r *Releaser) keep(ctx context.Context, authority attest.Authority, made *attestedKEK) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attested.Put(cache.Caller(ctx), authority, made)
}

// suspicious says whether a release failed for a reason that may lie in the pair.
func suspicious(err error) bool {
	return errors.Is(err, refusal.ReleaseRejected) || errors.Is(err, refusal.Untrusted) || errors.Is(err, refusal.NoEvidence)
}

// doubt drops a pair with which a release was refused, unless it is new, and one
// that a TPM cannot use any more.
func (r *Releaser) doubt(authority attest.Authority, failed *attestedKEK, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	useless := errors.Is(err, refusal.NoEvidence)
	if held, _ := r.attested.Peek(authority); held == failed && (useless || r.now().Sub(failed.made) >= doubtAge) {
		r.attested.Delete(authority)
	}
}

// Newest says when the newest attestation token that is kept was asked for, and
// when it expires; both are zero where none is kept.
func (r *Releaser) Newest() (asked, expires time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.attested.All() {
		if a.made.After(asked) {
			asked, expires = a.made, a.result.Expires
		}
	}
	return asked, expires
}
