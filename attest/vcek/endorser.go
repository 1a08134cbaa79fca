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
	// sourceTimeout bounds one source, so that a silent one does not use up the
	// time of the next.
	sourceTimeout = 20 * time.Second
	// searchTimeout bounds a search of all of them.
	searchTimeout = 80 * time.Second
)

// Config describes an Endorser.
type Config struct {
	// Sources are asked in this order.
	Sources []Source
	// Roots that chains must lead to; nil means [BuiltinRoots].
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

// Chain returns a chain that has verified against report. A cached one is
// verified again, as each report has its own signature; if it no longer does,
// the sources are asked.
//
// Its errors: [refusal.NoEndorsements] with every source and why it did not
// serve; [refusal.Throttled] or [refusal.Unavailable] where that is what all of
// them said; [refusal.Timeout] or the context's error if ctx ends first.
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
	// The search may have been another request's, for another report.
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

// Current says when the chain that was used last was fetched, and when the first
// of its certificates expires; both are zero before there is one.
func (e *Endorser) Current() (fetched, expires time.Time) {
	newest := e.cache.newest()
	if newest.chain == nil {
		return time.Time{}, time.Time{}
	}
	return newest.fetched, newest.chain.Expires()
}

// search asks the sources once for all requests that need the same chain.
func (e *Endorser) search(ctx context.Context, report *snp.Report) (*Chain, error) {
	chain, err := e.flights.Do(ctx, identify(report), func(ctx context.Context) (*Chain, error) {
		if chain := e.cached(report); chain != nil {
			return chain, nil // a search has just ended
		}
		return e.ask(ctx, report)
	})
	return chain, named(err)
}

func (e *Endorser) ask(ctx context.Context, report *snp.Report) (*Chain, error) {
	var failed failures
	for _, source := range e.sources {
		chain, err := e.askOne(ctx, source, report)
		if err == nil {
			e.cache.put(identify(report), chain, e.now())
			return chain, nil
		}
		_, local := source.(*hostSource)
		failed = append(failed, failure{source.String(), local, err})
		if over := ended(ctx); over != nil {
			// That the caller's time is over says nothing of a source.
			return nil, fmt.Errorf("%w; %s", over, failed)
		}
	}
	return nil, failed.refuse(report)
}

// ended is ctx's error, also a moment before its timer fires: some who have its deadline
// go by the clock.
func ended(ctx context.Context) error {
	if deadline, limited := ctx.Deadline(); limited && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// askOne gives a chain with the root that is trusted, and not what a source sent in its
// place.
func (e *Endorser) askOne(ctx context.Context, source Source, report *snp.Report) (*Chain, error) {
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	chain, err := source.Chain(ctx, report.ChipID(), report.ReportedTCB())
	if err != nil {
		return nil, err
	}
	if err := chain.Verify(report, e.roots, e.now()); err != nil {
		return nil, err
	}
	return chain.anchored(e.roots)
}

// named says what a context that ended was waiting for. Refusals know it.
func named(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return refusal.Because(refusal.Timeout, "the deadline passed while looking for the report's certificates", err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("looking for the report's certificates: %w", err)
	}
	return err
}
