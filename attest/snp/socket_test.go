package snp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// peer listens on a new socket with handler.
func peer(t *testing.T, handler http.HandlerFunc) Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.sock")
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	if err := server.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	source, err := NewSource("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func TestSocketExchange(t *testing.T) {
	data := Bind([]byte("data"))
	source := peer(t, func(w http.ResponseWriter, r *http.Request) {
		var request map[string]string
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			t.Error(err)
		}
		if r.Method != http.MethodPost || r.URL.Path != "/report" || r.ProtoMajor != 1 || len(request) != 1 || request["report_data"] != data.String() {
			t.Errorf("request %s %s %s with %v", r.Method, r.URL, r.Proto, request)
		}
		_, _ = fmt.Fprintf(w, `{"report":"%x"}`, genuine(data))
	})
	report, err := source.Report(t.Context(), data)
	if err != nil || !bytes.Equal(report.Raw(), genuine(data)) {
		t.Errorf("%v, %v", report, err)
	}
}

func TestSocketRefuses(t *testing.T) {
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = fmt.Fprint(w, body)
		}
	}
	long := strings.Repeat("no ", 2000)
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"error", status(500, `{"error":"firmware \u001b[31m said no"}`), `answered 500: "firmware \x1b[31m said no"`},
		{"error with 200", status(200, `{"error":"no"}`), `answered 200: "no"`},
		{"error and report", status(200, fmt.Sprintf(`{"error":"no","report":"%x"}`, genuine(ReportData{}))), `"no"`},
		{"long error", status(500, `{"error":"`+long+`"}`), `"` + long[:maxComplaint] + `..."`},
		{"not JSON", status(502, "<html>"), `answered 502: "<html>"`},
		{"report with 500", status(500, fmt.Sprintf(`{"report":"%x"}`, genuine(ReportData{}))), "answered 500"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, "answered 307"},
		{"empty", status(200, ""), "decoding the peer's answer"},
		{"no report", status(200, "{}"), "0 hex digits"},
		{"short report", status(200, `{"report":"00"}`), "2 hex digits"},
		{"long report", status(200, `{"report":"`+strings.Repeat("0", 2370)+`"}`), "2370 hex digits"},
		{"not hex", status(200, `{"report":"`+strings.Repeat("g", 2368)+`"}`), "decoding the peer's report"},
		{"not a report", status(200, `{"report":"`+strings.Repeat("0", 2368)+`"}`), "malformed"},
		{"other data", status(200, fmt.Sprintf(`{"report":"%x"}`, genuine(ReportData{1}))), "other data"},
		{"endless", func(w http.ResponseWriter, _ *http.Request) {
			for range 1000 {
				_, _ = fmt.Fprint(w, long)
			}
		}, "longer than 8192 bytes"},
		{"endless header", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat(long, 10)) }, "asking the peer"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := peer(t, test.handler).Report(t.Context(), ReportData{})
			if !errors.Is(err, ErrNoReport) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want ErrNoReport with %q", err, test.want)
			}
			if err != nil && len(err.Error()) > 500 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestSocketAbsent(t *testing.T) {
	source, err := NewSource("unix:" + filepath.Join(t.TempDir(), "none"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.Report(t.Context(), ReportData{}); !errors.Is(err, ErrNoReport) {
		t.Errorf("error %v, want ErrNoReport", err)
	}
}

func TestSocketDeadline(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	source := peer(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := source.Report(ctx, ReportData{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the deadline", err)
	}
}

// deadliner records the deadline of each request.
type deadliner struct{ left time.Duration }

func (d *deadliner) RoundTrip(r *http.Request) (*http.Response, error) {
	deadline, _ := r.Context().Deadline()
	d.left = time.Until(deadline)
	return nil, errors.New("enough")
}

func TestSocketCap(t *testing.T) {
	transport := new(deadliner)
	s := &socket{path: "/test", client: &http.Client{Transport: transport}}
	if _, err := s.fetch(t.Context(), ReportData{}); err == nil {
		t.Error("no error")
	}
	if transport.left <= 0 || transport.left > socketTimeout {
		t.Errorf("without a caller's deadline, %v remain, want at most %v", transport.left, socketTimeout)
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add(200, fmt.Appendf(nil, `{"report":"%x"}`, genuine(ReportData{})))
	f.Add(500, []byte(`{"error":"no"}`))
	f.Add(200, []byte(`{"report":"zz"}`))
	f.Add(200, []byte(`[]`))
	f.Add(404, []byte("not found"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		raw, err := parseAnswer(status, body)
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if status != http.StatusOK || len(raw) != ReportSize {
			t.Errorf("status %d gave %d bytes", status, len(raw))
		}
	})
}
