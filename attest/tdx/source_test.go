package tdx_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"skr/attest/tdx"
	"skr/test/tdxtest"
)

// serviceOf returns a source that asks an emulated service. broken is a path that fails.
func serviceOf(tb testing.TB, c tdxtest.Collateral, broken string) tdx.Source {
	tb.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == broken {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		c.ServeHTTP(w, r)
	}))
	tb.Cleanup(server.Close)
	return tdx.NewServiceSource(server.Client(), "Intel PCS", server.URL+"/", server.URL+tdxtest.RootCRLPath)
}

func TestService(t *testing.T) {
	m := newMachine(t)
	q := m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{})
	good := must(m.vendor.Collateral(m.platform, tdxtest.CollateralOptions{}))(t)
	found := must(tdx.Find(t.Context(), []tdx.Source{serviceOf(t, good, "")}, q, m.roots, now))(t)
	v := m.verification()
	v.Collateral, v.Policy = found, strict(t)
	if result := must(q.Verify(v))(t); result.Level.Status != tdx.UpToDate || result.NotLookedAt != nil {
		t.Errorf("%+v", result)
	}
	for path, part := range map[string]string{
		"/tdx/certification/v4/tcb": "TCB info", "/tdx/certification/v4/qe/identity": "QE identity", "/sgx/certification/v4/pckcrl": "PCK CRL",
		tdxtest.RootCRLPath: "root CRL",
	} {
		_, err := tdx.Find(t.Context(), []tdx.Source{serviceOf(t, good, path)}, q, m.roots, now)
		checkError(t, err, tdx.ErrNoCollateral, "Intel PCS: "+part+": answered with status 404")
	}
}

// Sources are not trusted, and the first good collateral counts.
func TestFind(t *testing.T) {
	m, other := newMachine(t), newMachine(t)
	q := m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{})
	at := func(m *machine, o tdxtest.CollateralOptions) []byte {
		return must(must(m.vendor.Collateral(m.platform, o))(t).Bundle())(t)
	}
	good := tdx.NewFileSource("good", at(m, tdxtest.CollateralOptions{}))
	old := tdx.NewFileSource("old", at(m, tdxtest.CollateralOptions{Issued: now.AddDate(0, -2, 0)}))
	foreign := tdx.NewFileSource("foreign", at(other, tdxtest.CollateralOptions{}))
	broken := tdx.NewFileSource("broken", []byte("x"))
	missing := tdx.NewUnusableFileSource("missing", errors.New("no such file"))
	for _, c := range []struct {
		name    string
		sources []tdx.Source
		outOf   int // parts that are out of date
		text    string
	}{
		{"good", []tdx.Source{good}, 0, ""},
		{"after others", []tdx.Source{missing, broken, foreign, old, good}, 0, ""},
		{"out of date", []tdx.Source{foreign, old, broken}, 4, ""},
		{"none", nil, 0, "there are no sources"},
		{"each failure", []tdx.Source{missing, broken, foreign}, 0, "missing: no such file; broken: malformed TDX collateral: "},
		{"another vendor's", []tdx.Source{foreign}, 0, "foreign: verifying collateral: TCB info"},
		{"nothing", []tdx.Source{empty{}}, 0, "empty: there is no part of collateral in it"},
		{"no cause", []tdx.Source{tdx.NewUnusableFileSource("x", nil)}, 0, "x: it cannot be used"},
	} {
		found, err := tdx.Find(t.Context(), c.sources, q, m.roots, now)
		if c.text != "" {
			checkError(t, err, tdx.ErrNoCollateral, c.text)
			continue
		}
		if err != nil || len(found.OutOfDate(now)) != c.outOf {
			t.Errorf("%s: %v, %v", c.name, found, err)
		}
	}
	if _, err := tdx.Find(t.Context(), []tdx.Source{good}, q, nil, now); !is(err, tdx.ErrNoCollateral) {
		t.Errorf("with Intel's roots: %v", err)
	}
}

// empty is a source that returns neither collateral nor an error.
type empty struct{}

func (empty) Collateral(context.Context, *tdx.Quote) (*tdx.Collateral, error) { return nil, nil }

func (empty) String() string { return "empty" }

// silent is a source that waits for the end of its context.
type silent struct{}

func (silent) Collateral(ctx context.Context, _ *tdx.Quote) (*tdx.Collateral, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silent) String() string { return "silent" }

// A silent source leaves time for the next, and a caller that gives up gets the reason.
func TestFindDoesNotHang(t *testing.T) {
	m := newMachine(t)
	q := m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{})
	good := tdx.NewFileSource("good", must(must(m.vendor.Collateral(m.platform, tdxtest.CollateralOptions{}))(t).Bundle())(t))
	synctest.Test(t, func(t *testing.T) {
		if _, err := tdx.Find(t.Context(), []tdx.Source{silent{}, good}, q, m.roots, now); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := tdx.Find(ctx, []tdx.Source{silent{}, good}, q, m.roots, now)
		if !is(err, context.Canceled) || !is(err, tdx.ErrNoCollateral) {
			t.Errorf("error %v", err)
		}
	})
}

// A service cannot make skr read without end, and its header must be percent-encoded.
func TestServiceIsBounded(t *testing.T) {
	m := newMachine(t)
	q := m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{})
	for text, handle := range map[string]http.HandlerFunc{
		"more than 1048576 bytes": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2<<20)) },
		"not percent-encoded":     func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("TCB-Info-Issuer-Chain", "%zz") },
	} {
		server := httptest.NewServer(handle)
		_, err := tdx.NewServiceSource(server.Client(), "x", server.URL, server.URL).Collateral(t.Context(), q)
		server.Close()
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("error %v, want %q", err, text)
		}
	}
	_, err := tdx.NewServiceSource(http.DefaultClient, "x", "://", "://").Collateral(t.Context(), q)
	if err == nil || !strings.Contains(err.Error(), "malformed") {
		t.Errorf("error %v", err)
	}
}
