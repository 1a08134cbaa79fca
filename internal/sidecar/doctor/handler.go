package doctor

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"skr/internal/check"
)

// restTime is how long the results of one examination are served: each examination asks the
// authority and the vault.
const restTime = 30 * time.Second

// Format is the form of results at GET /doctor. It leaves out the causes of failures, which
// are for operators.
var Format = check.Format{
	Words: map[check.Outcome]string{check.OK: "ok", check.Warning: "warning", check.Failed: "failure", check.Skipped: "skipped"},
	Name:  "check", Subject: "subject", Outcome: "status", Found: "evidence", Fix: "fix",
}

// Diagnosis is the JSON document of an examination.
type Diagnosis struct {
	// OK is true if nothing failed.
	OK     bool        `json:"ok"`
	Checks []check.Row `json:"checks"`
}

// Diagnose returns the document of results in the given form.
func Diagnose(results []check.Result, form check.Format) Diagnosis {
	return Diagnosis{check.FirstFailure(results) == nil, form.Rows(results)}
}

// Handler examines over HTTP and answers 200 if nothing failed, otherwise 503. It makes one
// examination at a time, and at most one in 30 s.
type Handler struct {
	doctor *Doctor

	mu   sync.Mutex
	at   time.Time // of last
	last []check.Result
}

// NewHandler returns a Handler. It makes no request yet.
func NewHandler(d *Doctor) *Handler { return &Handler{doctor: d} }

// ServeHTTP answers with a [Diagnosis].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.mu.TryLock() {
		w.Header().Set("Retry-After", "5")
		reply(w, http.StatusServiceUnavailable, map[string]string{"error": "throttled: another examination runs, try again", "code": "throttled"})
		return
	}
	defer h.mu.Unlock()
	if age := h.doctor.config.Now().Sub(h.at); h.last == nil || age < 0 || age >= restTime {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // a test's recorder has none; each step has a deadline
		h.last, h.at = h.doctor.Examine(r.Context()), h.doctor.config.Now()
	}
	diagnosis, status := Diagnose(h.last, Format), http.StatusOK
	if !diagnosis.OK {
		status = http.StatusServiceUnavailable
	}
	reply(w, status, diagnosis)
	if r.Context().Err() != nil {
		h.last = nil // the caller left and cut the examination short
	}
}

func reply(w http.ResponseWriter, status int, answer any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // a caller that is gone needs no answer
}
