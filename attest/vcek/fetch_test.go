package vcek

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"skr/attest/snp"
	"skr/test/snptest"
)

// The sources work over a plain http.Client and classify its failures like those of a
// retrying client.
func TestPlainHTTPClient(t *testing.T) {
	chip := newTestChip(t, snp.Milan)
	report := reportOf(t, chip, snptest.Options{})
	tests := []struct {
		name   string
		status int
		want   error
		asked  int
	}{
		{"no such certificate", http.StatusNotFound, ErrNoEndorsements, 1},
		{"throttled", http.StatusTooManyRequests, ErrThrottled, 1},
		{"failing", http.StatusBadGateway, ErrUnavailable, 1},
		{"slow", http.StatusRequestTimeout, ErrUnavailable, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked++
				w.WriteHeader(test.status)
			}))
			defer server.Close()
			endorser := NewEndorser(Config{Sources: []Source{NewKDSSource(http.DefaultClient, server.URL)}})
			_, err := endorser.Chain(t.Context(), report)
			if !errors.Is(err, test.want) || asked != test.asked {
				t.Errorf("%d requests; error %v", asked, err)
			}
		})
	}
	server := httptest.NewServer(nil)
	server.Close()
	for _, source := range []Source{
		NewKDSSource(http.DefaultClient, server.URL), NewTHIMSource(http.DefaultClient, server.URL, "from"),
		NewAzureCacheSource(http.DefaultClient, server.URL, "", ""),
	} {
		_, err := source.Chain(t.Context(), WantedBy(report))
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: error %v", source, err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err = source.Chain(ended, WantedBy(report)); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
			t.Errorf("%s, cancelled: error %v", source, err)
		}
	}
}

// A version 2 report does not name its product. Genoa's certificate is requested only
// if the service answers that Milan has none.
func TestThrottledKDSIsAskedOnce(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		if strings.Contains(r.URL.Path, "Milan") {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		http.NotFound(w, r)
	}))
	defer server.Close()
	_, err := NewKDSSource(http.DefaultClient, server.URL).Chain(t.Context(), Wanted{Chip: snp.ChipID{1}})
	if !errors.Is(err, ErrThrottled) || len(asked) != 1 {
		t.Errorf("requests %q; error %v", asked, err)
	}
}

// An answer is read up to one byte beyond the limit and then refused.
func TestLargeAnswerIsBounded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, 16*maxDocument))
	}))
	defer server.Close()
	body, err := fetch(t.Context(), http.DefaultClient, server.URL, nil)
	if err != nil || len(body) != maxDocument+1 {
		t.Errorf("read %d bytes, error %v", len(body), err)
	}
}
