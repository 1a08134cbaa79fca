package vcek

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"skr/attest/snp"
	"skr/internal/refusal"
	"skr/test/snptest"
)

// scripted is a Source that counts requests.
type scripted struct {
	name  string
	calls atomic.Int32
	give  func(context.Context, Wanted) (*Chain, error)
}

func (s *scripted) String() string { return s.name }

func (s *scripted) Chain(ctx context.Context, wanted Wanted) (*Chain, error) {
	s.calls.Add(1)
	return s.give(ctx, wanted)
}

// giving returns a Source that always returns the same chain.
func giving(name string, chain *Chain, err error) *scripted {
	return &scripted{name: name, give: func(context.Context, Wanted) (*Chain, error) { return chain, err }}
}

// issuing returns a Source that has chip's chain for each TCB.
func issuing(t *testing.T, name string, chip *snptest.Chip) *scripted {
	return &scripted{name: name, give: func(_ context.Context, wanted Wanted) (*Chain, error) {
		if wanted.Chip != chip.ID() {
			return nil, errors.New("an unknown chip")
		}
		return mustParse(t, chainPEM(t, chip, wanted.TCB)), nil
	}}
}

func endorserOf(m *maker, sources ...Source) *Endorser {
	return NewEndorser(Config{Sources: sources, Roots: m.roots, Now: func() time.Time { return now }})
}

func mustChain(t *testing.T, e *Endorser, report *snp.Report, want snp.TCB) {
	t.Helper()
	chain, err := e.Chain(t.Context(), report)
	if err != nil {
		t.Fatal(err)
	}
	if chain.TCB() != want {
		t.Fatalf("got the chain of %s, want %s", chain.TCB(), want)
	}
}

// TestEndorserAsksInOrder checks that sources are asked in order until one has the
// chain. Later sources are not asked.
func TestEndorserAsksInOrder(t *testing.T) {
	m := milan(t)
	broken := giving("broken", nil, errors.New("no such file"))
	wrong := giving("wrong", chainOf(t, m.second), nil)
	nothing := giving("nothing", nil, nil)
	right := issuing(t, "right", m.first)
	spare := issuing(t, "spare", m.first)
	e := endorserOf(m, broken, wrong, nothing, right, spare)
	for range 3 {
		mustChain(t, e, reportOf(t, m.first, snptest.Options{}), m.first.TCB())
	}
	for _, s := range []*scripted{broken, wrong, nothing, right} {
		if got := s.calls.Load(); got != 1 {
			t.Errorf("%s got %d requests", s.name, got)
		}
	}
	if spare.calls.Load() != 0 {
		t.Error("the spare source got a request")
	}
}

// TestEndorserFollowsFirmware keeps the host's document unchanged. After an update, and
// after the way back, the next two calls succeed.
func TestEndorserFollowsFirmware(t *testing.T) {
	for _, version := range []uint32{2, 3} {
		t.Run(fmt.Sprintf("version %d", version), func(t *testing.T) {
			m := milan(t)
			chip := m.newChip(t)
			a := chip.TCB()
			levels := a.Components()
			levels.SNP, levels.Microcode = levels.SNP+1, 211
			b := levels.TCB(snp.Milan)
			host, err := NewHostSource(thimOf(t, chip, a))
			if err != nil {
				t.Fatal(err)
			}
			other := issuing(t, "other", chip)
			e := endorserOf(m, host, other)
			for step, tcb := range []snp.TCB{a, a, b, b, a, a, b, b} {
				chip.SetTCB(tcb.Components())
				mustChain(t, e, reportOf(t, chip, snptest.Options{Version: version}), tcb)
				if want := int32(min(step/2, 1)); other.calls.Load() != want {
					t.Errorf("after step %d the other source got %d requests, want %d", step, other.calls.Load(), want)
				}
			}
		})
	}
}

// TestEndorserVerifiesCached checks that a cached chain does not make a bad report
// acceptable and is not used after it expires.
func TestEndorserVerifiesCached(t *testing.T) {
	m := milan(t)
	source := issuing(t, "source", m.first)
	clock := now
	e := NewEndorser(Config{Sources: []Source{source}, Roots: m.roots, Now: func() time.Time { return clock }})
	mustChain(t, e, reportOf(t, m.first, snptest.Options{}), m.first.TCB())

	forged := reportOf(t, m.first, snptest.Options{MutateSigned: func(raw []byte) { raw[0x50] ^= 1 }})
	_, err := e.Chain(t.Context(), forged)
	checkRefused(t, err, refusal.NoEndorsements, "source: ", "does not verify")

	clock = now.AddDate(10, 0, 0)
	_, err = e.Chain(t.Context(), reportOf(t, m.first, snptest.Options{}))
	checkRefused(t, err, refusal.NoEndorsements, "is valid from")
}

func checkRefused(t *testing.T, err error, kind *refusal.Kind, words ...string) {
	t.Helper()
	refused, ok := errors.AsType[*refusal.Error](err)
	if !ok || refused.Kind != kind {
		t.Fatalf("got %v, want %v", err, kind)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q lacks %q", err, word)
		}
	}
}

func TestEndorserRefuses(t *testing.T) {
	m := milan(t)
	busy := func(name string, wait time.Duration) Source {
		return giving(name, nil, fmt.Errorf("asking: %w", &refusal.Error{Kind: refusal.Throttled, RetryAfter: wait}))
	}
	down := giving("down", nil, refusal.Newf(refusal.Unavailable, "is down"))
	late := giving("late", nil, refusal.Newf(refusal.Timeout, "is late"))
	slow := giving("slow", nil, context.DeadlineExceeded)
	lying := giving("lying", nil, refusal.Newf(refusal.Untrusted, "is lying"))
	wrong := giving("wrong", chainOf(t, m.second), nil)
	for _, test := range []struct {
		name    string
		sources []Source
		kind    *refusal.Kind
		wait    time.Duration
		words   []string
	}{
		{"no sources", nil, refusal.NoEndorsements, 0, []string{"there are no sources"}},
		{"wrong", []Source{wrong}, refusal.NoEndorsements, 0, []string{"wrong: ", "comes from chip"}},
		{"each source is named", []Source{lying, wrong}, refusal.NoEndorsements, 0, []string{"lying: untrusted", "wrong: "}},
		{"throttled", []Source{busy("busy", time.Minute)}, refusal.Throttled, time.Minute, []string{"busy"}},
		{"the shortest wait", []Source{busy("busy", time.Minute), busy("busier", time.Second)}, refusal.Throttled, time.Second, nil},
		{"down", []Source{down, slow, late}, refusal.Unavailable, 0, []string{"down", "slow", "late"}},
		{"throttled and down", []Source{busy("busy", time.Minute), down}, refusal.Throttled, time.Minute, nil},
		{"unusable and down", []Source{NewUnusableTHIMSource("VARIABLE", errors.New("it is on fire")), down}, refusal.Unavailable, 0,
			[]string{"THIM (VARIABLE) (no address: it is on fire), down"}},
		{"wrong and down", []Source{wrong, down, busy("busy", time.Minute)}, refusal.NoEndorsements, 0, []string{"down", "wrong", "busy"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := endorserOf(m, test.sources...).Chain(t.Context(), reportOf(t, m.first, snptest.Options{}))
			checkRefused(t, err, test.kind, test.words...)
			if refused, _ := errors.AsType[*refusal.Error](err); refused.RetryAfter != test.wait {
				t.Errorf("wait %v, want %v", refused.RetryAfter, test.wait)
			}
			for _, kind := range []*refusal.Kind{refusal.Throttled, refusal.Unavailable, refusal.Untrusted, refusal.NoEndorsements} {
				if errors.Is(err, kind) != (kind == test.kind) {
					t.Errorf("errors.Is(%v) is %v", kind, kind != test.kind)
				}
			}
		})
	}
}

// Some reports cannot have a certificate. No source is asked for one.
func TestEndorserSkipsUnendorsableReports(t *testing.T) {
	m := milan(t)
	source := issuing(t, "source", m.first)
	for name, o := range map[string]snptest.Options{
		"MASK_CHIP_ID": {ChipID: &snp.ChipID{}}, "MASK_CHIP_KEY": {MaskChipKey: true}, "not signed": {SigningKey: snp.Unsigned},
	} {
		_, err := endorserOf(m, source).Chain(t.Context(), reportOf(t, m.first, o))
		checkRefused(t, err, refusal.NoEndorsements, name)
	}
	if source.calls.Load() != 0 {
		t.Error("the source got a request")
	}
}

// TestEndorserAsksOnce checks that concurrent requests share one search.
func TestEndorserAsksOnce(t *testing.T) {
	m := milan(t)
	report := reportOf(t, m.first, snptest.Options{})
	chain := chainOf(t, m.first)
	synctest.Test(t, func(t *testing.T) {
		source := &scripted{name: "slow", give: func(context.Context, Wanted) (*Chain, error) {
			time.Sleep(time.Second)
			return chain, nil
		}}
		e := endorserOf(m, source)
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() { mustServe(t, e, report) })
		}
		group.Wait()
		mustServe(t, e, report)
		// This request missed the cache just before another request's search ended.
		if _, err := e.search(t.Context(), report); err != nil {
			t.Error(err)
		}
		if got := source.calls.Load(); got != 1 {
			t.Errorf("the source got %d requests", got)
		}
	})
}

// mustServe does what mustChain does, for goroutines other than the test's.
func mustServe(t *testing.T, e *Endorser, report *snp.Report) {
	if _, err := e.Chain(context.Background(), report); err != nil {
		t.Error(err)
	}
}

// TestEndorserOutlivesRequest ends the request that started the search. The waiting requests
// get the chain, with a search of their own if the first had too little time.
func TestEndorserOutlivesRequest(t *testing.T) {
	m := milan(t)
	report := reportOf(t, m.first, snptest.Options{})
	chain := chainOf(t, m.first)
	for name, test := range map[string]struct {
		leave    func(context.Context) (context.Context, context.CancelFunc)
		want     error
		searches int32
	}{
		"cancelled": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		}, context.Canceled, 1},
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, refusal.Timeout, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := &scripted{name: "slow", give: func(ctx context.Context, _ Wanted) (*Chain, error) {
					select {
					case <-time.After(5 * time.Second):
						return chain, nil
					case <-ctx.Done():
						return nil, ctx.Err()
					}
				}}
				e := endorserOf(m, source)
				var group sync.WaitGroup
				group.Go(func() {
					ctx, cancel := test.leave(context.Background())
					defer cancel()
					start := time.Now()
					if _, err := e.Chain(ctx, report); !errors.Is(err, test.want) || errors.Is(err, refusal.Unavailable) || time.Since(start) > time.Second {
						t.Errorf("got %v after %v", err, time.Since(start))
					} else if errors.Is(err, refusal.Timeout) && !strings.Contains(err.Error(), "slow") {
						t.Errorf("%v names no source", err)
					}
				})
				synctest.Wait()
				group.Go(func() { mustServe(t, e, report) })
				group.Wait()
				if got := source.calls.Load(); got != test.searches {
					t.Errorf("the source got %d requests, want %d", got, test.searches)
				}
			})
		})
	}
}

// TestEndorserBoundsSources checks that a silent source costs only its time limit.
func TestEndorserBoundsSources(t *testing.T) {
	m := milan(t)
	report := reportOf(t, m.first, snptest.Options{})
	chain := chainOf(t, m.first)
	synctest.Test(t, func(t *testing.T) {
		silent := &scripted{name: "silent", give: func(ctx context.Context, _ Wanted) (*Chain, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		start := time.Now()
		mustServe(t, endorserOf(m, silent, giving("good", chain, nil)), report)
		if elapsed := time.Since(start); elapsed != sourceTimeout {
			t.Errorf("took %v", elapsed)
		}
		_, err := endorserOf(m, silent).Chain(t.Context(), report)
		checkRefused(t, err, refusal.Unavailable, "silent")
	})
}

func TestCacheKeepsLastUsed(t *testing.T) {
	var c cache
	id := func(n int) identity { return identity{chip: snp.ChipID{byte(n)}} }
	chains := make([]*Chain, maxCached+1)
	for i := range chains {
		chains[i] = &Chain{}
		if i == maxCached {
			c.get(id(0)) // now 1 is the least recently used
		}
		c.put(id(i), chains[i], time.Time{})
	}
	c.put(id(2), chains[3], time.Time{})
	var kept []int
	for i := range chains {
		if c.get(id(i)) != nil {
			kept = append(kept, i)
		}
	}
	if len(kept) != maxCached || slices.Contains(kept, 1) || !slices.Contains(kept, 0) {
		t.Errorf("kept %v", kept)
	}
	if c.get(id(2)) != chains[3] || len(c.entries) != maxCached {
		t.Error("an entry was not replaced")
	}
}

// TestIdentity checks that reports with different chains have different identities.
func TestIdentity(t *testing.T) {
	m := milan(t)
	tcb := snp.NewTCB(m.first.TCB().Raw()+1, snp.Milan)
	seen := map[string]bool{}
	for _, report := range []*snp.Report{
		reportOf(t, m.first, snptest.Options{}), reportOf(t, m.second, snptest.Options{}),
		reportOf(t, m.first, snptest.Options{SigningKey: snp.VLEK}), reportOf(t, m.first, snptest.Options{ReportedTCB: &tcb}),
	} {
		seen[identify(report).String()] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d identities", len(seen))
	}
}

// TestEndorserSendsItsOwnRoot checks that the chain ends with the trusted root, byte for byte.
// Only name and key of a source's root are compared.
func TestEndorserSendsItsOwnRoot(t *testing.T) {
	m := milan(t)
	report := reportOf(t, m.first, snptest.Options{})
	honest := chainOf(t, m.first)
	altered := bytes.Clone(honest.root.Raw)
	altered[len(altered)-1] ^= 1 // in its signature
	root, err := x509.ParseCertificate(altered)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := newChain(honest.leaf, honest.intermediate, root)
	if err != nil {
		t.Fatal(err)
	}
	chain.root.NotAfter = now // which would appear as the chain's expiry
	chain.tcbm = "DB18000000000004"
	e := endorserOf(m, giving("hostile", chain, nil))
	for range 2 { // from the source, then from the cache
		got, err := e.Chain(t.Context(), report)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.PEM(), honest.PEM()) || got.TCBM() != chain.tcbm {
			t.Error("altered bytes are passed on")
		}
		if _, expires := e.Current(); !expires.Equal(honest.Expires()) {
			t.Errorf("the chain expires at %v", expires)
		}
	}
}

// A caller's short deadline does not count as a missing source and does not keep the
// next source from being asked.
func TestCallersDeadlineIsNotASourceFault(t *testing.T) {
	m := milan(t)
	report := reportOf(t, m.first, snptest.Options{})
	chain := chainOf(t, m.first)
	for name, answer := range map[string]error{
		"silent":                   context.DeadlineExceeded,
		"as httpclient reports it": &refusal.Error{Kind: refusal.Timeout, Err: context.DeadlineExceeded},
	} {
		synctest.Test(t, func(t *testing.T) {
			slow := &scripted{name: "slow", give: func(ctx context.Context, _ Wanted) (*Chain, error) {
				select {
				case <-time.After(5 * time.Second):
					return chain, nil
				case <-ctx.Done():
					return nil, answer
				}
			}}
			next := giving("next", nil, statusError(404))
			e := endorserOf(m, slow, next)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := e.Chain(ctx, report)
			if !errors.Is(err, refusal.Timeout) || errors.Is(err, refusal.Unavailable) || errors.Is(err, refusal.NoEndorsements) || next.calls.Load() != 0 {
				t.Errorf("%s: got %v after %d more sources", name, err, next.calls.Load())
			}
			mustServe(t, e, report)
		})
	}
}
