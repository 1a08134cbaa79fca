package emulator

import (
	"net/http"
	"strings"
	"time"
)

// wrap adds faults, counters and the log to a service.
func (c *Cloud) wrap(name func(*http.Request) string, next http.Handler) http.Handler {
	faulty := c.faults.Wrap(name, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writer := &statusWriter{ResponseWriter: w, keep: c.config.Tap != nil}
		defer c.record(r, name(r), writer, time.Now()) // deferred: a fault may abort the handler
		head, _, _ := strings.Cut(name(r), "/")
		w.Header().Set("Date", c.clock(head)().UTC().Format(http.TimeFormat)) // net/http would use this machine's clock
		faulty.ServeHTTP(writer, r)
	})
}

func (c *Cloud) record(r *http.Request, service string, writer *statusWriter, begin time.Time) {
	c.config.Log.InfoContext(r.Context(), "request", "service", service, "method", r.Method,
		"host", r.Host, "path", r.URL.Path, "status", writer.status, "took", time.Since(begin))
	if c.config.Tap != nil {
		c.config.Tap(service, writer.body)
	}
}

// statusWriter records the status code; 0 means that there was no answer.
type statusWriter struct {
	http.ResponseWriter

	status int
	keep   bool
	body   []byte // if keep is set
}

// WriteHeader records the first code.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implies status 200, as in net/http.
func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if w.keep {
		w.body = append(w.body, b...)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController flush.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
