package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"skr/attest"
	"skr/attest/snp"
	"skr/internal/check"
)

// absent is a virtual TPM that does not exist.
var absent = attest.NewVirtualTPM(attest.VirtualTPMConfig{Address: "/nonexistent/tpm"})

// noDevice counts the requests for a report and takes some time for each.
type noDevice struct {
	mu    sync.Mutex
	asked int
	wait  time.Duration
}

func (d *noDevice) Report(context.Context, snp.ReportData) (*snp.Report, error) {
	d.mu.Lock()
	d.asked++
	d.mu.Unlock()
	time.Sleep(d.wait)
	return nil, errors.New("no device")
}

func (d *noDevice) String() string { return "no device" }

func examined(t *testing.T, h *Handler) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/doctor", nil))
	return w.Code, w.Body.String()
}

// Polling /doctor does not cause requests to the authority and the vault each time.
func TestHandlerRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device := &noDevice{}
		h := NewHandler(New(Config{Attester: attest.NewAttester(attest.Config{Source: device, VirtualTPM: absent})}))
		for step, want := range []struct {
			wait  time.Duration
			asked int
		}{{0, 1}, {restTime - 1, 1}, {1, 2}} {
			time.Sleep(want.wait)
			status, body := examined(t, h)
			if status != http.StatusServiceUnavailable || device.asked != want.asked {
				t.Errorf("step %d: status %d, %d examinations, want %d", step, status, device.asked, want.asked)
			}
			var answer struct {
				OK     bool
				Checks []struct{ Check, Evidence string }
			}
			err := json.Unmarshal([]byte(body), &answer)
			if err != nil || answer.OK || answer.Checks[0].Check != reportSource || !strings.HasPrefix(answer.Checks[0].Evidence, "no device; no virtual TPM") {
				t.Errorf("answered %s", body)
			}
		}
	})
}

func TestHandlerExaminesOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device := &noDevice{wait: time.Second}
		h := NewHandler(New(Config{Attester: attest.NewAttester(attest.Config{Source: device, VirtualTPM: absent})}))
		go examined(t, h)
		synctest.Wait()
		if status, body := examined(t, h); status != http.StatusServiceUnavailable || !strings.Contains(body, "throttled") {
			t.Errorf("the second request got %d %s", status, body)
		}
		time.Sleep(2 * time.Second)
		if device.asked != 1 {
			t.Errorf("%d examinations", device.asked)
		}
	})
}

// If a caller leaves during an examination, other callers do not get its incomplete result.
func TestHandlerForgetsWhatWasCutShort(t *testing.T) {
	device := &noDevice{}
	h := NewHandler(New(Config{Attester: attest.NewAttester(attest.Config{Source: device, VirtualTPM: absent})}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/doctor", nil))
	if examined(t, h); device.asked != 2 {
		t.Errorf("%d examinations, want a second", device.asked)
	}
}

// A panic in one check is a failure of that check.
func TestCrashIsAFailure(t *testing.T) {
	results := New(Config{}).Examine(t.Context()) // no source
	if len(results) == 0 || results[0].Outcome != check.Failed || strings.Contains(results[0].Found, "nil") {
		t.Errorf("got %+v", results)
	}
	if f := check.FirstFailure(results); f == nil || f.Name != reportSource {
		t.Errorf("the first failure is %v", f)
	}
}

func TestBlocked(t *testing.T) {
	before := []check.Result{
		{Name: report, Outcome: check.OK}, {Name: key, Subject: "a", Outcome: check.Skipped}, {Name: key, Subject: "b", Outcome: check.Failed},
		{Name: tcb, Outcome: check.Warning},
	}
	for _, tc := range []struct {
		c    step
		want string
	}{
		{step{needs: []string{report, tcb}}, ""},
		{step{subject: "a", needs: []string{key}}, key},
		{step{subject: "a", after: []string{key}}, ""},
		{step{subject: "b", after: []string{key}}, key},
		{step{subject: "c", needs: []string{key}}, ""},
	} {
		if got := tc.c.blocked(before); got != tc.want {
			t.Errorf("%+v is blocked by %q, want %q", tc.c, got, tc.want)
		}
	}
}
