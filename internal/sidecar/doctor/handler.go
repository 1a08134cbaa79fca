package doctor

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// restTime is how long one examination answers everybody: each asks the
// authority and the vault.
const restTime = 30 * time.Second

// Diagnosis is the answer of a [Handler].
type Diagnosis struct {
	// OK says that nothing failed.
	OK     bool     `json:"ok"`
	Checks []Result `json:"checks"`
}

// Handler examines over HTTP: 200 where nothing failed, 503 where something did.
// It examines at most once in 30 s, and one at a time.
type Handler struct {
	doctor *Doctor

	mu   sync.Mutex
	at   time.Time // of last
	last []Result
}

// NewHandler makes a Handler. It asks nobody yet.
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
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // a test's recorder has none; each check has a deadline
		h.last, h.at = h.doctor.Examine(r.Context()), h.doctor.config.Now()
	}
	status := http.StatusOK
	if Failed(h.last) != nil {
		status = http.StatusServiceUnavailable
	}
	reply(w, status, Diagnosis{status == http.StatusOK, h.last})
	if r.Context().Err() != nil {
		h.last = nil // who left cut it short
	}
}

func reply(w http.ResponseWriter, status int, answer any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // a caller that is gone needs no answer
}
