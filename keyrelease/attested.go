package keyrelease

import (
	"context"
	"errors"
	"time"

	"skr/attest"
	"skr/hsm"
	"skr/internal/cache"
	"skr/internal/refusal"
)

const (
	// expiryMargin keeps a token from expiring between our check and the
	// vault's, also with clocks that differ by the usual five minutes.
	expiryMargin = 5 * time.Minute
	// invalidAge is how old an attested KEK must be to be dropped when a release with
	// it is refused: what it attests may have changed since. Younger ones are kept, so
	// that a release that cannot succeed does not attest each time.
	invalidAge = time.Minute
	// maxAuthorities bounds the attested KEKs of one caller: a pattern of the
	// allow-list may match any number of hosts.
	maxAuthorities = 16
)

// attestedKEK is a KEK and the token that attests it.
type attestedKEK struct {
	kek    KEK
	result *attest.Result
	made   time.Time
	seen   *hsm.Statements // the statements that the KEK was used with
}

// attestedKEK returns the authority's attested KEK while it is fresh, and a new one
// otherwise.
func (r *Releaser) attestedKEK(ctx context.Context, authority attest.Authority) (*attestedKEK, error) {
	if r.maxAge <= 0 {
		return r.attestKEK(ctx, authority)
	}
	kept := r.fresh(ctx, authority)
	r.looked(ctx, Lookup{Cache: AttestationCache, Hit: kept != nil})
	if kept != nil {
		return kept, nil
	}
	return r.attestations.Do(ctx, authority, func(ctx context.Context) (*attestedKEK, error) { return r.attestAndKeep(ctx, authority) })
}

func (r *Releaser) attestAndKeep(ctx context.Context, authority attest.Authority) (*attestedKEK, error) {
	// Other work may have ended between the lookup and the begin of this work.
	if kept := r.fresh(ctx, authority); kept != nil {
		return kept, nil
	}
	attested, err := r.attestKEK(ctx, authority)
	if err == nil {
		r.keep(ctx, authority, attested)
	}
	return attested, err
}

func (r *Releaser) attestKEK(ctx context.Context, authority attest.Authority) (*attestedKEK, error) {
	made := r.now()
	if r.maxAge <= 0 {
		defer r.replenish() // the next release needs one too
	}
	kek, evidence, err := r.provenKEK(ctx)
	if err != nil {
		return nil, err
	}
	result, err := r.appraise(ctx, authority, evidence)
	if err != nil {
		return nil, err
	}
	return &attestedKEK{kek, result, made, r.statements(kek)}, nil
}

// Token collects evidence over runtimeData and returns the authority's token for it.
func (r *Releaser) Token(ctx context.Context, authority attest.Authority, runtimeData []byte) (*attest.Result, error) {
	evidence, err := r.attester.Evidence(ctx, runtimeData)
	if err != nil {
		return nil, err
	}
	return r.appraise(ctx, authority, evidence)
}

func (r *Releaser) appraise(ctx context.Context, authority attest.Authority, evidence *attest.Evidence) (*attest.Result, error) {
	result, err := r.verifier.Appraise(ctx, authority, evidence)
	if err != nil {
		return nil, withOmissions(err, evidence.Omitted)
	}
	result.Omitted = evidence.Omitted
	return result, nil
}

func (r *Releaser) fresh(ctx context.Context, authority attest.Authority) *attestedKEK {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, found := r.attested.Get(cache.Caller(ctx), authority)
	if !found || !r.isFresh(kept) {
		return nil
	}
	return kept
}

// isFresh reports whether an attested KEK may be used again. It is false for one that
// was made in the future, because the clock was set back, and for one whose memory of
// statements is full.
func (r *Releaser) isFresh(a *attestedKEK) bool {
	now := r.now()
	return !now.Before(a.made) && now.Before(a.made.Add(r.maxAge)) && now.Before(a.result.Expires.Add(-expiryMargin)) &&
		(isGuest(a.kek) || !a.seen.Full())
}

func (r *Releaser) keep(ctx context.Context, authority attest.Authority, attested *attestedKEK) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attested.Put(cache.Caller(ctx), authority, attested)
}

// invalidate drops an attested KEK that may be the reason why a release failed: one that
// is older than invalidAge, and one that the TPM cannot use any more.
func (r *Releaser) invalidate(authority attest.Authority, failed *attestedKEK, err error) {
	unusable := errors.Is(err, refusal.NoEvidence)
	if !unusable && !errors.Is(err, refusal.ReleaseRejected) && !errors.Is(err, refusal.Untrusted) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if kept, _ := r.attested.Peek(authority); kept == failed && (unusable || r.now().Sub(failed.made) >= invalidAge) {
		r.attested.Delete(authority)
	}
}

// Newest returns when the newest attestation token that is kept was requested, and when
// it expires. Both are zero if no token is kept.
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
