package snptest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"skr/attest/snp"
)

// serve answers on a new socket until the test ends, and returns its path.
func serve(t *testing.T, chip *Chip, options func() Options) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.sock")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- chip.Serve(ctx, path, options) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return path
}

// ask retries until the server listens.
func ask(t *testing.T, path string, data snp.ReportData) (*snp.Report, error) {
	t.Helper()
	source, err := snp.NewSource("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for {
		report, err := source.Report(t.Context(), data)
		listening := err == nil || !strings.Contains(err.Error(), "connect:")
		if listening || time.Now().After(deadline) {
			return report, err
		}
	}
}

func TestServe(t *testing.T) {
	chip := newChip(t, snp.Milan)
	path := serve(t, chip, func() Options { return Options{Version: 5, VMPL: 2} })
	report, err := ask(t, path, snp.Bind([]byte("data")))
	if err != nil {
		t.Fatal(err)
	}
	if report.Version() != 5 || report.VMPL() != 2 || report.ChipID() != chip.ID() {
		t.Errorf("got %s, VMPL %d", report, report.VMPL())
	}
	vcek, err := chip.VCEK(report.ReportedTCB())
	if err != nil {
		t.Fatal(err)
	}
	if !verifies(t, certificates(t, vcek)[0], report.Raw()) {
		t.Error("the signature did not survive the socket")
	}
}

func TestServeOtherData(t *testing.T) {
	other := snp.Bind([]byte("other"))
	path := serve(t, newChip(t, snp.Milan), func() Options { return Options{ReportData: &other} })
	if _, err := ask(t, path, snp.Bind([]byte("data"))); err == nil || !strings.Contains(err.Error(), "other data") {
		t.Errorf("a report over other data: error %v", err)
	}
}

func TestReportHandlerRefuses(t *testing.T) {
	handler := newChip(t, snp.Genoa).ReportHandler(nil)
	tests := []struct {
		name, method, path, body string
		want                     int
	}{
		{"good", "POST", "/report", `{"report_data":"` + strings.Repeat("0a", 64) + `"}`, 200},
		{"not JSON", "POST", "/report", `{`, 400},
		{"not hex", "POST", "/report", `{"report_data":"zz"}`, 400},
		{"short", "POST", "/report", `{"report_data":"00"}`, 400},
		{"huge", "POST", "/report", `{"report_data":"` + strings.Repeat("00", maxRequest) + `"}`, 400},
		{"method", "GET", "/report", ``, 405},
		{"path", "POST", "/", ``, 404},
	}
	for _, test := range tests {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), test.method, test.path, strings.NewReader(test.body))
		handler.ServeHTTP(w, r)
		if w.Code != test.want {
			t.Errorf("%s: status %d, want %d: %s", test.name, w.Code, test.want, w.Body)
		}
		if test.want == http.StatusBadRequest && !strings.Contains(w.Body.String(), `{"error":"`) {
			t.Errorf("%s: answer %q holds no error", test.name, w.Body)
		}
	}
}
