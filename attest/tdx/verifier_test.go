package tdx_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"skr/attest/tdx"
	"skr/test/tdxtest"
)

// sourceFunc is a source that counts its requests.
type sourceFunc struct {
	asked atomic.Int64
	find  func(ctx context.Context) (*tdx.Collateral, error)
}

func (s *sourceFunc) String() string { return "the source" }
func (s *sourceFunc) Collateral(ctx context.Context, _ *tdx.Quote) (*tdx.Collateral, error) {
	s.asked.Add(1)
	return s.find(ctx)
}

// verifierOf returns a verifier with one source, at the time of a clock.
func (m *machine) verifierOf(source tdx.Source, policy tdx.Policy, clock *time.Time) *tdx.Verifier {
	c := tdx.Config{Roots: m.roots, Policy: policy, Now: func() time.Time { return *clock }}
	if source != nil {
		c.Sources = []tdx.Source{source}
	}
	return tdx.NewVerifier(c)
}

func TestVerifierWithoutSources(t *testing.T) {
	m, clock := newMachine(t), now
	q := m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{})
	v := m.verifierOf(nil, tdx.Policy{}, &clock)
	if result := must(v.Verify(t.Context(), q, m.bound))(t); result.Level != nil || len(result.NotLookedAt) != 4 || v.Problem() != nil {
		t.Errorf("%+v, problem %v", result, v.Problem())
	}
	_, err := m.verifierOf(nil, strict(t), &clock).Verify(t.Context(), q, m.bound)
	checkError(t, err, tdx.ErrNoCollateral, "there are no sources")
	_, err = v.Verify(t.Context(), q, tdx.ReportData{1})
	checkError(t, err, tdx.ErrNotBound, "")
}

// Concurrent quotes share a search, and later ones its result until it is old.
func TestVerifierKeepsCollateral(t *testing.T) {
	m, clock := newMachine(t), now
	q := m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{})
	good := m.collateral(t, tdxtest.CollateralOptions{})
	source := &sourceFunc{find: func(context.Context) (*tdx.Collateral, error) { return good, nil }}
	v := m.verifierOf(source, strict(t), &clock)
	if found, expires := v.Current(); !found.IsZero() || !expires.IsZero() {
		t.Errorf("collateral of %s until %s before the first search", found, expires)
	}
	results := make(chan error)
	for range 4 {
		go func() {
			result, err := v.Verify(context.Background(), q, m.bound)
			if err == nil && result.Level.Status != tdx.UpToDate {
				err = errors.New(result.Level.String())
			}
			results <- err
		}()
	}
	for range 4 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if found, expires := v.Current(); !found.Equal(now) || !expires.Equal(good.Expires()) || source.asked.Load() != 1 {
		t.Errorf("collateral of %s until %s, asked %d times", found, expires, source.asked.Load())
	}
	// A search that fails leaves the earlier collateral in use.
	clock = now.Add(5 * time.Hour)
	source.find = func(context.Context) (*tdx.Collateral, error) { return nil, errors.New("it is closed") }
	for range 3 {
		must(v.Verify(t.Context(), q, m.bound))(t)
	}
	if v.Problem() == nil || source.asked.Load() != 2 {
		t.Errorf("problem %v, asked %d times", v.Problem(), source.asked.Load())
	}
	// So does one that finds only collateral that is out of date.
	clock = clock.Add(2 * time.Minute)
	old := m.collateral(t, tdxtest.CollateralOptions{Issued: now.AddDate(0, -2, 0)})
	source.find = func(context.Context) (*tdx.Collateral, error) { return old, nil }
	must(v.Verify(t.Context(), q, m.bound))(t)
	if found, _ := v.Current(); !found.Equal(now) || v.Problem() == nil || source.asked.Load() != 3 {
		t.Errorf("collateral of %s, problem %v, asked %d times", found, v.Problem(), source.asked.Load())
	}
	// It is asked again after a pause, and not for a quote that is not genuine.
	clock = clock.Add(2 * time.Minute)
	source.find = func(context.Context) (*tdx.Collateral, error) { return good, nil }
	if _, err := v.Verify(t.Context(), q, tdx.ReportData{1}); err == nil || source.asked.Load() != 3 {
		t.Errorf("error %v, asked %d times", err, source.asked.Load())
	}
	must(v.Verify(t.Context(), q, m.bound))(t)
	if v.Problem() != nil || source.asked.Load() != 4 {
		t.Errorf("problem %v, asked %d times", v.Problem(), source.asked.Load())
	}
}

// Without a policy, collateral is looked at if there is any, and its absence is no error.
func TestVerifierWithoutPolicy(t *testing.T) {
	m, clock := newMachine(t), now
	q := m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{})
	for name, c := range map[string]struct {
		options tdxtest.CollateralOptions
		err     error // of the source
		looked  int   // number of things that were not looked at
		problem string
		want    error
	}{
		"good":        {},
		"no answer":   {err: errors.New("it is closed"), looked: 4, problem: "the source: it is closed"},
		"out of date": {options: tdxtest.CollateralOptions{Issued: now.AddDate(0, -2, 0)}, looked: 1, problem: "out of date"},
		"old TCB":     {options: tdxtest.CollateralOptions{TCBInfo: tdxtest.OutOfDate}},
	} {
		collateral := m.collateral(t, c.options)
		v := m.verifierOf(&sourceFunc{find: func(context.Context) (*tdx.Collateral, error) { return collateral, c.err }}, tdx.Policy{}, &clock)
		result, err := v.Verify(t.Context(), q, m.bound)
		if err != nil || len(result.NotLookedAt) != c.looked {
			t.Errorf("%s: %+v, error %v", name, result, err)
		}
		if problem := v.Problem(); (problem != nil) != (c.problem != "") || problem != nil && !strings.Contains(problem.Error(), c.problem) {
			t.Errorf("%s: problem %v", name, problem)
		}
		if _, err := m.verifierOf(tdx.NewUnusableFileSource("x", c.err), strict(t), &clock).Verify(t.Context(), q, m.bound); !errors.Is(err, tdx.ErrNoCollateral) {
			t.Errorf("%s, demanded and missing: error %v", name, err)
		}
	}
	old := m.collateral(t, tdxtest.CollateralOptions{TCBInfo: tdxtest.OutOfDate})
	source := &sourceFunc{find: func(context.Context) (*tdx.Collateral, error) { return old, nil }}
	_, err := m.verifierOf(source, strict(t), &clock).Verify(t.Context(), q, m.bound)
	checkError(t, err, tdx.ErrTCBStatus, "OutOfDate")
}

// A source that hangs delays a release for a short time only, unless its collateral is demanded.
func TestVerifierOfSlowSource(t *testing.T) {
	m := newMachine(t)
	q := m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{})
	good := m.collateral(t, tdxtest.CollateralOptions{})
	synctest.Test(t, func(t *testing.T) {
		clock := now
		source := &sourceFunc{find: func(ctx context.Context) (*tdx.Collateral, error) {
			select {
			case <-time.After(10 * time.Second):
				return good, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}
		v := m.verifierOf(source, tdx.Policy{}, &clock)
		start := time.Now()
		if result, err := v.Verify(t.Context(), q, m.bound); err != nil || result.Level != nil || time.Since(start) != 3*time.Second {
			t.Errorf("%+v, error %v, after %s", result, err, time.Since(start))
		}
		time.Sleep(8 * time.Second)
		if result, err := v.Verify(t.Context(), q, m.bound); err != nil || result.Level == nil || source.asked.Load() != 1 {
			t.Errorf("%+v, error %v, asked %d times", result, err, source.asked.Load())
		}
		limited, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := m.verifierOf(source, strict(t), &clock).Verify(limited, q, m.bound)
		if !errors.Is(err, tdx.ErrNoCollateral) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("demanded: error %v", err)
		}
		time.Sleep(time.Minute) // the search ends
	})
}

// A panic of a source is its failure.
func TestVerifierOfPanic(t *testing.T) {
	m, clock := newMachine(t), now
	source := &sourceFunc{find: func(context.Context) (*tdx.Collateral, error) { panic("x") }}
	_, err := m.verifierOf(source, strict(t), &clock).Verify(t.Context(), m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{}), m.bound)
	if err == nil || !strings.Contains(err.Error(), "panic") {
		t.Errorf("error %v", err)
	}
}
