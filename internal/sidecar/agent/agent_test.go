package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/attest/tpm"
	"skr/attest/vtpm"
	"skr/test/snptest"
	"skr/test/swtpm"
)

// lend serves on a socket and returns its path.
func lend(t *testing.T, serve func(context.Context, net.Listener) error) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	socket, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var served sync.WaitGroup
	served.Go(func() {
		if err := serve(ctx, socket); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); served.Wait() })
	return path
}

// Several clients use the TPM at once, each over its own connection.
func TestServeTPM(t *testing.T) {
	machine := swtpm.Require(t, swtpm.Config{})
	inner, err := tpm.Open(machine.Address())
	if err != nil {
		t.Fatal(err)
	}
	path := lend(t, New(Config{TPM: inner}).ServeTPM)
	boot, err := vtpm.Select(0, 1, 2, 3, 4, 5, 6, 7)
	if err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			opened, err := tpm.Open("unix:" + path)
			if err == nil {
				_, err = opened.Quote(t.Context(), boot, nil)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
}

// A silent client does not keep the agent from stopping.
func TestServeTPMStops(t *testing.T) {
	inner, err := tpm.Open(swtpm.Require(t, swtpm.Config{}).Address())
	if err != nil {
		t.Fatal(err)
	}
	path := lend(t, New(Config{TPM: inner}).ServeTPM)
	silent, err := new(net.Dialer).DialContext(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
}

type silicon struct{ chip *snptest.Chip }

func (s silicon) String() string { return "chip" }
func (s silicon) Report(_ context.Context, data snp.ReportData) (*snp.Report, error) {
	if data == (snp.ReportData{1}) {
		return nil, errors.New("the firmware refuses")
	}
	raw, err := s.chip.Report(data, snptest.Options{})
	if err != nil {
		return nil, err
	}
	return snp.Parse(raw)
}

// The product's own client of report sockets gets the report.
func TestServeReports(t *testing.T) {
	vendor, err := snptest.NewVendor(snp.Milan, day)
	if err != nil {
		t.Fatal(err)
	}
	chip, err := vendor.NewChip()
	if err != nil {
		t.Fatal(err)
	}
	path := lend(t, New(Config{Source: silicon{chip}}).ServeReports)
	source, err := snp.NewSource("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	data := snp.Bind([]byte("data"))
	report, err := source.Report(t.Context(), data)
	if err != nil || report.ReportData() != data {
		t.Errorf("report %v, error %v", report, err)
	}
	if _, err := source.Report(t.Context(), snp.ReportData{1}); err == nil || !strings.Contains(err.Error(), "the firmware refuses") {
		t.Errorf("error %v", err)
	}
	for body, want := range map[string]string{
		`{"report_data":"00"}`:               "not 128 hex digits",
		`{"report_data":"` + zz + `"}`:       "not 128 hex digits",
		`{"report":"` + zz + `"}`:            "the request is not",
		`[]`:                                 "the request is not",
		``:                                   "the request is not",
		`{"report_data":"` + long + `"}`:     "the request is not",
		`{"report_data":"00","report":"00"}`: "the request is not",
	} {
		status, text := post(t, path, body)
		if status != http.StatusBadRequest || !strings.Contains(text, want) {
			t.Errorf("%.40s: %d %s", body, status, text)
		}
	}
}

// A caller can cause any number of failed reports, so they must not fill the log.
func TestServeReportsThatFail(t *testing.T) {
	var log lines
	a := New(Config{Source: noReports{}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	path := lend(t, a.ServeReports)
	for range 20 {
		if status, _ := post(t, path, `{"report_data":"`+strings.Repeat("00", 64)+`"}`); status != http.StatusInternalServerError {
			t.Fatalf("status %d", status)
		}
	}
	if told := strings.Count(log.String(), "no report"); told != 1 {
		t.Errorf("%d lines:\n%s", told, log.String())
	}
}

type noReports struct{}

func (noReports) String() string { return "no chip" }
func (noReports) Report(context.Context, snp.ReportData) (*snp.Report, error) {
	return nil, errors.New("there is no chip")
}

func post(t *testing.T, path, body string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://agent/report", bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

var (
	day  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	zz   = strings.Repeat("zz", 64)
	long = strings.Repeat("00", maxRequest)
)

// Callers under the honest caller's uid send forbidden commands over many connections. The
// TPM stays usable: each connection ends at once, and the log gets few lines.
func TestServeTPMUnderForbiddenCommands(t *testing.T) {
	inner, err := tpm.Open(swtpm.Require(t, swtpm.Config{}).Address())
	if err != nil {
		t.Fatal(err)
	}
	var log lines
	path := lend(t, New(Config{TPM: inner, Logger: slog.New(slog.NewTextHandler(&log, nil))}).ServeTPM)
	clear := []byte{0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x26} // TPM2_Clear
	lies := []byte{0x80, 0x01, 0, 0, 0, 3, 0, 0, 0x01, 0x26}   // its size
	var hostile sync.WaitGroup
	for i := range maxConnections / 4 { // all of them plus the honest one fit one uid's share
		command, answers := clear, 10
		if i%2 == 1 {
			command, answers = lies, 0
		}
		hostile.Go(func() {
			conn, err := new(net.Dialer).DialContext(t.Context(), "unix", path)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			if _, err := conn.Write(command); err != nil {
				t.Error(err)
			}
			if answer, err := io.ReadAll(conn); err != nil || len(answer) != answers { // the connection ends by itself
				t.Errorf("answer %x, error %v", answer, err)
			}
		})
	}
	opened, err := tpm.Open("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened.AK(t.Context()); err != nil {
		t.Error(err)
	}
	hostile.Wait()
	if text := log.String(); strings.Count(text, "\n") > 2*4 || !strings.Contains(text, "command=0x126") ||
		!strings.Contains(text, fmt.Sprint("uid=", os.Getuid())) {
		t.Errorf("the log has %q", text)
	}
}

// lines records log lines.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestTally(t *testing.T) {
	now := day
	refused := tally{now: func() time.Time { return now }}
	told := []int{refused.add(), refused.add(), refused.add()}
	now = now.Add(refusalPause)
	told = append(told, refused.add(), refused.add())
	if want := []int{1, 0, 0, 3, 0}; !slices.Equal(told, want) {
		t.Errorf("logged %v, want %v", told, want)
	}
}
