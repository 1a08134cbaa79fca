package vcek

import (
	"context"
	"errors"
	"fmt"
	"time"

	"skr/attest/snp"
	"skr/internal/observe/journal"
	"skr/internal/refusal"
	"skr/internal/singleflight"
)

const (
	// sourceTimeout bounds one source, so that a silent one leaves time for the
	// next.
	sourceTimeout = 20 * time.Second
	// searchTimeout bounds a search of all of them.
	searchTimeout = 80 * time.Second
)

// Config describes an Endorser.
type Config struct {
	// Sources are asked in this order.
	Sources []Source
	// Roots are the roots that chains must lead to; nil means [BuiltinRoots].
	Roots *Roots
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Endorser finds, verifies and caches the chain of a report. It is safe for
// concurrent use.
type Endorser struct {
	sources []Source
	roots   *Roots
	now     func() time.Time
	cache   cache
	flights singleflight.Group[identity, *Chain]
}

// NewEndorser makes an Endorser.
func NewEndorser(c Config) *Endorser {
	if c.Roots == nil {
		c.Roots = BuiltinRoots()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Endorser{
		sources: c.Sources, roots: c.Roots, now: c.Now,
		flights: singleflight.Group[identity, *Chain]{Limit: searchTimeout},
	}
}

// Chain returns a chain that has verified against report. It verifies a cached chain
// again, because each report has its own signature, and asks the sources if the cached
// chain fails.
//
// The error wraps [ErrNoEndorsements] and names each source with its failure. It wraps
// [ErrThrottled] or [ErrUnavailable] instead if all services failed in that way, and
// the context's error if ctx ends first.
func (e *Endorser) Chain(ctx context.Context, report *snp.Report) (*Chain, error) {
	if err := checkSigner(report); err != nil {
		return nil, &refusal.Error{Kind: refusal.NoEndorsements, Reason: "no certificate can endorse this machine's report", Err: err}
	}
	chain := e.cached(report)
	journal.Looked(ctx, journal.Certificates, chain != nil)
	if chain != nil {
		return chain, nil
	}
	chain, err := e.search(ctx, report)
	if err != nil {
		return nil, err
	}
	// The search may have been made for another request's report.
	if err := chain.Verify(report, e.roots, e.now()); err != nil {
		return nil, &refusal.Error{Kind: refusal.NoEndorsements, Reason: "the report does not verify with its certificate chain", Err: err}
	}
	return chain, nil
}

func (e *Endorser) cached(report *snp.Report) *Chain {
	chain := e.cache.get(identify(report))
	if chain == nil || chain.Verify(report, e.roots, e.now()) != nil {
		return nil
	}
	return chain
}

// Current returns when the most recently used chain was fetched, and when the first of
// its certificates expires. Both are zero before the first chain.
func (e *Endorser) Current() (fetched, expires time.Time) {
	newest := e.cache.newest()
	if newest.chain == nil {
		return time.Time{}, time.Time{}
	}
	return newest.fetched, newest.chain.Expires()
}

// search asks the sources once for all concurrent requests that need the same chain.
func (e *Endorser) search(ctx context.Context, report *snp.Report) (*Chain, error) {
	chain, err := e.flights.Do(ctx, identify(report), func(ctx context.Context) (*Chain, error) {
		if chain := e.cached(report); chain != nil {
			return chain, nil // another search has just ended
		}
		return e.ask(ctx, report)
	})
	return chain, explainEnd(err)
}

func (e *Endorser) ask(ctx context.Context, report *snp.Report) (*Chain, error) {
	var failed failures
	for _, source := range e.sources {
		chain, err := e.askOne(ctx, source, report)
		if err == nil {
			e.cache.put(identify(report), chain, e.now())
			return chain, nil
		}
		failed = append(failed, failure{source, err})
		if over := ended(ctx); over != nil {
			// The caller's deadline is not the source's failure.
			return nil, fmt.Errorf("%w; %s", over, failed)
		}
	}
	return nil, failed.refuse(report)
}

// ended returns ctx's error. It also compares the deadline with the clock, because a
// source may do so and fail shortly before the context's timer fires.
func ended(ctx context.Context) error {
	if deadline, limited := ctx.Deadline(); limited && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// askOne returns a verified chain whose root is the trusted one rather than the one that
// the source sent.
func (e *Endorser) askOne(ctx context.Context, source Source, report *snp.Report) (*Chain, error) {
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	chain, err := source.Chain(ctx, WantedBy(report))
	if err != nil {
		return nil, err
	}
	if err := chain.Verify(report, e.roots, e.now()); err != nil {
		return nil, err
	}
	return chain.anchored(e.roots)
}

// explainEnd adds to a context's error what was waited for.
func explainEnd(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return refusal.Because(refusal.Timeout, "the deadline passed while looking for the report's certificates", err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("looking for the report's certificates: %w", err)
	}
	return err
}
