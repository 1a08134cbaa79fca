package tdx_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"skr/attest/tdx"
	"skr/test/tdxtest"
)

// azureHost answers as Azure's host does: it wants exactly one content type, and quotes the
// report.
func azureHost(t *testing.T, m *machine, encode func([]byte) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Report string }
		switch {
		case r.Method != http.MethodPost || r.URL.Path != "/acc/tdquote":
			w.WriteHeader(http.StatusNotFound)
			return
		case r.Header.Get("Content-Type") != "application/json":
			w.WriteHeader(http.StatusUnsupportedMediaType)
			return
		case r.Header.Get("Metadata") != "true" || json.NewDecoder(r.Body).Decode(&body) != nil:
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		report, err := base64.RawURLEncoding.DecodeString(body.Report)
		if err != nil || len(report) != tdx.ReportSize {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		quote, err := m.platform.Quote(report, tdxtest.QuoteOptions{Padding: 70})
		if err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"quote": encode(quote)})
	}
}

func TestHost(t *testing.T) {
	m := newMachine(t)
	td := wholeTD()
	td.ReportData = m.bound
	report := must(tdx.ParseReport(td.Report()))(t)
	for name, encode := range map[string]func([]byte) string{
		"URL alphabet": base64.RawURLEncoding.EncodeToString, "padded": base64.URLEncoding.EncodeToString, "standard": base64.StdEncoding.EncodeToString,
	} {
		server := httptest.NewServer(azureHost(t, m, encode))
		q, err := tdx.NewHost(server.Client(), server.URL+"/acc/tdquote").Quote(t.Context(), report)
		server.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if q.MRTD() != td.MRTD || q.ReportData() != m.bound {
			t.Errorf("%s: the quote is of another TD", name)
		}
	}
}

// A host that refuses, or that returns something else, gives no quote.
func TestHostRefuses(t *testing.T) {
	m := newMachine(t)
	report := must(tdx.ParseReport(wholeTD().Report()))(t)
	answer := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
	}
	other := base64.RawURLEncoding.EncodeToString(m.raw(t, tdxtest.TD{}, tdxtest.QuoteOptions{}))
	for _, c := range []struct {
		name   string
		handle http.HandlerFunc
		want   error
		text   string
	}{
		{"415", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnsupportedMediaType) }, tdx.ErrNoQuote, "status 415"},
		{"503", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, tdx.ErrNoQuote, "status 503"},
		{"no JSON", answer("x"), tdx.ErrNoQuote, "the answer"},
		{"no quote", answer(`{}`), tdx.ErrNoQuote, "has no quote"},
		{"two quotes", answer(`{"quote":"AA","quote":"AA"}`), tdx.ErrNoQuote, "twice"},
		{"no base64", answer(`{"quote":"*"}`), tdx.ErrNoQuote, "not base64"},
		{"no TDX quote", answer(`{"quote":"AAAA"}`), tdx.ErrMalformed, "the header alone"},
		{"the quote of another TD", answer(`{"quote":"` + other + `"}`), tdx.ErrOtherReport, "they differ in"},
		{"without end", answer(`{"quote":"` + strings.Repeat("A", 1<<20) + `"}`), tdx.ErrNoQuote, "more than 131072 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(c.handle)
			defer server.Close()
			_, err := tdx.NewHost(server.Client(), server.URL).Quote(t.Context(), report)
			checkError(t, err, c.want, c.text)
			checkError(t, err, tdx.ErrNoQuote, "from the host")
		})
	}
	_, err := tdx.NewHost(http.DefaultClient, "://").Quote(t.Context(), report)
	checkError(t, err, tdx.ErrNoQuote, "the URL is malformed")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = tdx.NewHost(http.DefaultClient, "http://127.0.0.1:1").Quote(ctx, report)
	checkError(t, err, context.Canceled, "")
}
