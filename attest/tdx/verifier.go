package tdx

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"skr/internal/crash"
)

const (
	// keptFor is how long collateral is used before the sources are asked again.
	keptFor = 4 * time.Hour
	// searchPause is the shortest time between two searches, so that sources that fail are
	// not asked for each quote.
	searchPause = time.Minute
	// searchTimeout bounds a search of all sources.
	searchTimeout = time.Minute
	// patience is how long a quote waits for collateral that the policy does not demand.
	patience = 3 * time.Second
)

// Config describes a Verifier.
type Config struct {
	// Roots are the trusted roots; nil means [BuiltinRoots].
	Roots *Roots
	// Sources of collateral are asked in this order. None is allowed.
	Sources []Source
	// Policy says which collateral and which TCB status are demanded.
	Policy Policy
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Verifier verifies quotes of one machine, with collateral that it finds and keeps. It is safe
// for concurrent use.
type Verifier struct {
	config Config

	mu   sync.Mutex
	last *search // the newest; nil before the first
}

// NewVerifier makes a Verifier. It asks no source yet.
func NewVerifier(c Config) *Verifier {
	if c.Roots == nil {
		c.Roots = BuiltinRoots()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Verifier{config: c}
}

// Verify verifies a quote as [Quote.Verify] does. It asks no source about a quote that is not
// genuine. If the policy does not demand collateral, sources that fail or are slow are no error,
// and the result lists what was not looked at. The error wraps the context's error if ctx ends
// while demanded collateral is looked for.
func (v *Verifier) Verify(ctx context.Context, q *Quote, data ReportData) (*Result, error) {
	result, err := v.VerifyAlone(q, data)
	policy := v.config.Policy
	if err != nil || len(v.config.Sources) == 0 && !policy.Demands() {
		return result, err
	}
	collateral, err := v.collateral(ctx, q)
	if err != nil && policy.Demands() {
		return nil, err
	}
	return q.Verify(Verification{Roots: v.config.Roots, ReportData: data, Collateral: collateral, Policy: policy, Now: v.config.Now()})
}

// VerifyAlone verifies a quote without collateral, whatever the policy demands.
func (v *Verifier) VerifyAlone(q *Quote, data ReportData) (*Result, error) {
	return q.Verify(Verification{Roots: v.config.Roots, ReportData: data, Now: v.config.Now()})
}

// Problem returns why the sources gave no collateral that is complete and in date, or nil. It
// is nil without sources, and before the first search has ended.
func (v *Verifier) Problem() error {
	v.mu.Lock()
	s := v.last
	v.mu.Unlock()
	if s == nil || len(v.config.Sources) == 0 || !s.over() {
		return nil
	}
	return s.problem(v.config.Now())
}

// Current returns when the collateral in use was found, and when its first part expires. Both
// are zero without collateral.
func (v *Verifier) Current() (found, expires time.Time) {
	v.mu.Lock()
	s := v.last
	v.mu.Unlock()
	if s == nil || !s.over() || s.collateral == nil {
		return time.Time{}, time.Time{}
	}
	return s.found, s.collateral.Expires()
}

// collateral waits for collateral, for a short time if the policy does not demand it.
func (v *Verifier) collateral(ctx context.Context, q *Quote) (*Collateral, error) {
	if !v.config.Policy.Demands() {
		limited, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		ctx = limited
	}
	s := v.searched(q)
	select {
	case <-s.done:
		if s.collateral != nil {
			return s.collateral, nil
		}
		return nil, s.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: the sources do not answer: %w", ErrNoCollateral, ctx.Err())
	}
}

// searched returns the newest search, or begins one if that is too old.
func (v *Verifier) searched(q *Quote) *search {
	v.mu.Lock()
	defer v.mu.Unlock()
	platform := fmt.Sprintf("%x %s", q.pck.pck.FMSPC, q.pck.intermediate.Subject.CommonName)
	if v.last != nil && v.last.platform == platform && !v.last.old(v.config.Now()) {
		return v.last
	}
	s := &search{platform: platform, done: make(chan struct{})}
	if v.last != nil && v.last.platform == platform { // it is over, because it is old
		s.collateral, s.found = v.last.collateral, v.last.found
	}
	v.last = s
	go v.search(s, q)
	return s
}

// search runs a search, which outlives the requests that wait for it. If it fails, or finds
// only collateral that is incomplete or out of date, earlier collateral that is neither stays in use.
func (v *Verifier) search(s *search, q *Quote) {
	defer close(s.done)
	ctx, cancel := context.WithTimeout(context.Background(), searchTimeout)
	defer cancel()
	s.err = crash.Guard(func() error {
		found, err := Find(ctx, v.config.Sources, q, v.config.Roots, v.config.Now())
		if err != nil {
			return err
		}
		now := v.config.Now()
		if !found.usable(now) && s.collateral.usable(now) {
			return incomplete(found, now)
		}
		s.collateral, s.found = found, now
		return nil
	})
	s.ended = v.config.Now()
}

// search is a search for the collateral of a platform. Its results are valid after done.
type search struct {
	platform string
	done     chan struct{}

	collateral *Collateral // of this search or an earlier one; nil if neither found any
	found      time.Time   // when collateral was found
	err        error       // of this search
	ended      time.Time
}

func (s *search) over() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// old reports whether another search is due.
func (s *search) old(now time.Time) bool {
	if !s.over() {
		return false
	}
	age := now.Sub(s.ended)
	return age >= keptFor || age < 0 || age >= searchPause && s.problem(now) != nil
}

// problem returns what is wrong with what was found.
func (s *search) problem(now time.Time) error {
	if s.err != nil {
		return s.err
	}
	return incomplete(s.collateral, now)
}

// incomplete returns which parts are missing or out of date, or nil.
func incomplete(c *Collateral, now time.Time) error {
	if wrong := append(c.Missing(), c.OutOfDate(now)...); wrong != nil {
		return fmt.Errorf("%w: missing or out of date: %s", ErrNoCollateral, strings.Join(wrong, ", "))
	}
	return nil
}
