package snp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-configfs-tsm/configfs/configfsi"
	"github.com/google/go-sev-guest/verify/testdata"
)

// genuine returns a genuine report with its REPORT_DATA replaced by data. It is well
// formed.
func genuine(data ReportData) []byte {
	raw := append([]byte(nil), testdata.AttestationBytes...)
	copy(raw[0x50:], data[:])
	return raw
}

// reader returns a device read function that returns genuine reports.
func reader(data ReportData) ([]byte, error) { return genuine(data), nil }

func failing(err error) func(ReportData) ([]byte, error) {
	return func(ReportData) ([]byte, error) { return nil, err }
}

func TestNewSource(t *testing.T) {
	for spec, want := range map[string]string{
		"auto": "auto", "sev-guest": "/dev/sev-guest", "configfs-tsm": "configfs-tsm", "unix:/run/report.sock": "unix:/run/report.sock",
	} {
		source, err := NewSource(spec)
		if err != nil || source.String() != want {
			t.Errorf("%q: %v, %v; want %s", spec, source, err, want)
		}
	}
	for _, spec := range []string{"", "vtpm", "Auto", "sevguest", "unix", "unix:", "unix:relative", "/dev/sev-guest", "http://localhost"} {
		_, err := NewSource(spec)
		if err == nil {
			t.Errorf("%q was accepted", spec)
			continue
		}
		for _, word := range []string{"auto", "sev-guest", "configfs-tsm", "unix:/", fmt.Sprintf("%q", spec)} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q: error %q does not mention %s", spec, err, word)
			}
		}
	}
}

func TestSingleSource(t *testing.T) {
	data := Bind([]byte("data"))
	other := Bind([]byte("other"))
	tests := []struct {
		name string
		read func(ReportData) ([]byte, error)
		want string // empty if a report is expected
	}{
		{"good", reader, ""},
		{"firmware error", failing(errors.New("error 0x22")), "no SEV-SNP report from test: error 0x22"},
		{"short", func(ReportData) ([]byte, error) { return []byte{2}, nil }, "malformed"},
		{"other data", func(ReportData) ([]byte, error) { return genuine(other), nil }, "other data"},
	}
	for _, test := range tests {
		report, err := single{newDevice("test", test.read)}.Report(t.Context(), data)
		if test.want == "" {
			if err != nil || report.ReportData() != data {
				t.Errorf("%s: %v, %v", test.name, report, err)
			}
			continue
		}
		if !errors.Is(err, ErrNoReport) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want ErrNoReport with %q", test.name, err, test.want)
		}
	}
}

func TestAutomaticSaysWhatItTried(t *testing.T) {
	missing := failing(&fs.PathError{Op: "open", Path: "/x", Err: fs.ErrNotExist})
	denied := failing(&fs.PathError{Op: "open", Path: "/x", Err: fs.ErrPermission})
	broken := failing(errors.New("asking the kernel: no such device"))
	tests := []struct {
		first, second func(ReportData) ([]byte, error)
		want          string
	}{
		{missing, missing, "no SEV-SNP report source: tried /dev/sev-guest (not present), configfs-tsm (not present)"},
		{denied, broken, "no SEV-SNP report source: tried /dev/sev-guest (permission denied), configfs-tsm (asking the kernel: no such device)"},
	}
	for _, test := range tests {
		source := newAutomatic(newDevice(sevGuestPath, test.first), newDevice("configfs-tsm", test.second))
		_, err := source.Report(t.Context(), ReportData{})
		if !errors.Is(err, ErrNoReport) || err.Error() != test.want {
			t.Errorf("error %q, want ErrNoReport as %q", err, test.want)
		}
	}
}

// TestAutomaticHere needs a machine without SEV-SNP.
func TestAutomaticHere(t *testing.T) {
	for _, path := range []string{sevGuestPath, configfsi.TsmPrefix} {
		if _, err := os.Stat(path); err == nil {
			t.Skipf("%s is present", path)
		}
	}
	source, err := NewSource("auto")
	if err != nil {
		t.Fatal(err)
	}
	_, err = source.Report(t.Context(), ReportData{})
	want := "no SEV-SNP report source: tried /dev/sev-guest (not present), configfs-tsm (not present)"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}

func TestAutomaticKeepsWhatWorks(t *testing.T) {
	var asked []string
	absent := true
	first := newDevice("first", func(ReportData) ([]byte, error) {
		asked = append(asked, "first")
		return nil, fs.ErrNotExist
	})
	second := newDevice("second", func(data ReportData) ([]byte, error) {
		asked = append(asked, "second")
		if absent {
			return nil, fs.ErrNotExist
		}
		return genuine(data), nil
	})
	source := newAutomatic(first, second)
	if _, err := source.Report(t.Context(), ReportData{}); !errors.Is(err, ErrNoReport) {
		t.Errorf("error %v, want ErrNoReport", err)
	}
	absent = false
	for range 2 {
		if _, err := source.Report(t.Context(), ReportData{}); err != nil {
			t.Errorf("after the device appeared: %v", err)
		}
	}
	if got := strings.Join(asked, " "); got != "first second first second second" {
		t.Errorf("asked %s", got)
	}
	if source.String() != "second" {
		t.Errorf("the source is named %s", source)
	}
}

func TestDeviceOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running, most, calls := 0, 0, 0
		d := newDevice("slow", func(data ReportData) ([]byte, error) {
			running++
			calls++
			most = max(most, running)
			time.Sleep(time.Second)
			running--
			return genuine(data), nil
		})
		for i := range byte(4) {
			go func() {
				if _, err := obtain(t.Context(), d, ReportData{i}); err != nil {
					t.Error(err)
				}
			}()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if most != 1 || calls != 4 {
			t.Errorf("%d calls, at most %d at a time; want 4 and 1", calls, most)
		}
	})
}

func TestDeviceRespectsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		d := newDevice("stuck", func(ReportData) ([]byte, error) {
			calls.Add(1)
			time.Sleep(time.Hour)
			return nil, errors.New("too late")
		})
		source := newAutomatic(d, newDevice("never", reader))
		start := time.Now()
		// The first call hangs in the firmware; the second waits for its turn.
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			_, err := source.Report(ctx, ReportData{})
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrNoReport) {
				t.Errorf("error %v, want ErrNoReport and the deadline", err)
			}
		}
		if waited := time.Since(start); waited != 6*time.Second || calls.Load() != 1 {
			t.Errorf("waited %v with %d calls, want 6s with 1", waited, calls.Load())
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		time.Sleep(time.Hour) // the hanging call returns and releases its turn
		if _, err := d.fetch(canceled, ReportData{}); !errors.Is(err, context.Canceled) || calls.Load() != 1 {
			t.Errorf("error %v with %d calls: a canceled context reached the device", err, calls.Load())
		}
		if _, err := d.fetch(t.Context(), ReportData{}); err == nil || err.Error() != "too late" || calls.Load() != 2 {
			t.Errorf("error %v with %d calls: the turn was not released", err, calls.Load())
		}
	})
}
