package doctor

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/attest/vcek"
	"skr/internal/check"
	"skr/internal/refusal"
	"skr/test/snptest"
)

// cacheAt returns a place that serves document, or status 404.
func cacheAt(t *testing.T, from string, document []byte) Cache {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if document == nil {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(document)
	}))
	t.Cleanup(s.Close)
	return Cache{from, s.URL, vcek.NewTHIMSource(http.DefaultClient, s.URL, from)}
}

func closedAt(t *testing.T, from string) Cache {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	return Cache{from, s.URL, vcek.NewTHIMSource(http.DefaultClient, s.URL, from)}
}

// TestLookAtCaches checks that the doctor names each place that it asked, what leads there, and why it
// fails.
func TestLookAtCaches(t *testing.T) {
	vendor, err := snptest.NewVendor(snp.Milan, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	chip := newChip(t, vendor)
	raw, err := chip.Report(snp.ReportData{}, snptest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	report, err := snp.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	good, foreign := documentOf(t, chip), documentOf(t, newChip(t, vendor))
	unusable := Cache{"V", "", vcek.NewUnusableTHIMSource("V", errors.New("the placeholder was not replaced"))}
	for name, test := range map[string]struct {
		caches  []Cache
		outcome check.Outcome
		words   []string
		fix     string
	}{
		"none":      {nil, check.Skipped, []string{"certificate_sources does not name thim"}, ""},
		"good":      {[]Cache{cacheAt(t, "A", good), closedAt(t, "B")}, check.OK, []string{"(A) has this machine's certificate"}, ""},
		"next":      {[]Cache{closedAt(t, "A"), cacheAt(t, "B", good)}, check.Warning, []string{"(B) has", "asked before: ", "(A): nothing listens there"}, "set thim_url"},
		"absent":    {[]Cache{cacheAt(t, "A", nil)}, check.Warning, []string{"is not at ", "(A): answered with status 404"}, "set thim_url"},
		"foreign":   {[]Cache{cacheAt(t, "A", foreign)}, check.Warning, []string{"is not at ", "the report comes from chip"}, "set thim_url"},
		"malformed": {[]Cache{cacheAt(t, "A", []byte("{}"))}, check.Warning, []string{"member vcekCert is missing"}, "set thim_url"},
		"unusable":  {[]Cache{unusable, closedAt(t, "B")}, check.Warning, []string{"V: no address: the placeholder was not replaced; ", "(B): nothing"}, "set"},
		"named":     {[]Cache{closedAt(t, "thim_url, set by X")}, check.Warning, []string{"(thim_url, set by X): nothing listens"}, "or leave it out"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &examination{Config: Config{Caches: test.caches, Timeout: time.Minute}, report: report}
			found, err := e.lookAtCaches(t.Context())
			if err != nil || found.Outcome != test.outcome || !strings.Contains(found.Fix, test.fix) {
				t.Fatalf("got %+v, %v", found, err)
			}
			for _, word := range test.words {
				if !strings.Contains(found.Found, word) {
					t.Errorf("%q lacks %q", found.Found, word)
				}
			}
		})
	}
}

// TestFailureOfCache checks that a refusal's reason is shown without its cause.
func TestFailureOfCache(t *testing.T) {
	err := &refusal.Error{Kind: refusal.Throttled, Reason: "the cache is throttling requests", Err: errors.New("host 10.0.0.4")}
	if got := failureOf(err); got != "the cache is throttling requests" {
		t.Errorf("got %q", got)
	}
}

func newChip(t *testing.T, vendor *snptest.Vendor) *snptest.Chip {
	t.Helper()
	chip, err := vendor.NewChip()
	if err != nil {
		t.Fatal(err)
	}
	return chip
}

func documentOf(t *testing.T, chip *snptest.Chip) []byte {
	t.Helper()
	document, err := chip.THIMDocument(chip.TCB())
	if err != nil {
		t.Fatal(err)
	}
	return document
}
