package fault

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"
)

const (
	oversize   = 16 << 20 // more than any client should read
	maxRequest = 4 << 20
	slowPieces = 8
)

// Wrap counts each request under the service that name returns, delays it, and
// applies the plan's rules.
func (p *Plan) Wrap(name func(*http.Request) string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		service := name(r)
		if p.failsConnections(service, r.TLS != nil) {
			closeConnection(r.Context())
			abort()
		}
		latency, rule, faulty := p.begin(service)
		if !sleep(r.Context(), latency) {
			abort()
		}
		if faulty {
			rule.apply(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// sleep reports whether the client is still connected afterwards.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *Rule) apply(w http.ResponseWriter, req *http.Request, next http.Handler) {
	switch r.Do {
	case Status, Redirect:
		r.answerStatus(w)
	case Answer:
		answers[r.Answer].write(w)
	case Reset:
		abort()
	case BlackHole:
		blackHole(req)
	case NotJSON:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, "<html><body>An emulated fault requested this page.</body></html>\n")
	case SlowFirstByte:
		if !sleep(req.Context(), r.delay()) {
			abort()
		}
		next.ServeHTTP(w, req)
	default:
		r.distort(w, req, next)
	}
}

// abort ends the connection (HTTP/1.1) or the stream (HTTP/2) at once.
func abort() { panic(http.ErrAbortHandler) }

// blackHole reads the request first: an HTTP/1.1 server detects a disconnected
// client only after the body.
func blackHole(req *http.Request) {
	_, _ = io.CopyN(io.Discard, req.Body, maxRequest)
	<-req.Context().Done()
	abort()
}

func (r *Rule) answerStatus(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if r.RetryAfter > 0 {
		seconds := int((r.RetryAfter + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	if r.Location != "" {
		w.Header().Set("Location", r.Location)
	}
	w.WriteHeader(r.status())
	_, _ = fmt.Fprintf(w, `{"error":{"code":"EmulatedFault","message":"An emulated fault requested status %d."}}`, r.status())
}

// distort passes the genuine answer on in a damaged form.
func (r *Rule) distort(w http.ResponseWriter, req *http.Request, next http.Handler) {
	answer := &recorder{header: make(http.Header), status: http.StatusOK}
	next.ServeHTTP(answer, req)
	maps.Copy(w.Header(), answer.header)
	body := answer.body.Bytes()
	switch r.Do {
	case ContentType:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
	case Truncate:
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	default:
		w.Header().Del("Content-Length")
	}
	w.WriteHeader(answer.status)
	r.writeBody(w, req, body)
}

func (r *Rule) writeBody(w http.ResponseWriter, req *http.Request, body []byte) {
	switch r.Do {
	case Truncate:
		_, _ = w.Write(body[:len(body)/2])
		flush(w)
		abort()
	case Oversize:
		_, _ = w.Write(body)
		_, _ = io.CopyN(w, blank{}, oversize)
	case SlowBody:
		r.writeSlowly(w, req, body)
	default:
		_, _ = w.Write(body)
	}
}

func (r *Rule) writeSlowly(w http.ResponseWriter, req *http.Request, body []byte) {
	size := len(body)/slowPieces + 1
	for len(body) > 0 {
		if !sleep(req.Context(), r.delay()) {
			abort()
		}
		n := min(size, len(body))
		_, _ = w.Write(body[:n])
		flush(w)
		body = body[n:]
	}
}

func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }

// recorder keeps an answer so that it can be distorted.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *recorder) Header() http.Header         { return a.header }
func (a *recorder) Write(b []byte) (int, error) { return a.body.Write(b) }
func (a *recorder) WriteHeader(status int)      { a.status = status }

// blank reads as spaces, which JSON allows after a value (RFC 8259 section 2).
type blank struct{}

func (blank) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}
