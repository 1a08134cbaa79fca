package tracing

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"regexp"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"golang.org/x/time/rate"
)

// warnEvery: a dead collector is one fact, not one a batch.
const warnEvery = time.Minute

var errRedirect = errors.New("the collector answered with a redirect, which is not followed")

// complaints receives what the library says. Until New is done it is about a
// setting, and New's error; later it is about the collector, and a warning.
type complaints struct {
	log  *slog.Logger
	warn rate.Sometimes

	mu      sync.Mutex
	settled bool
	first   error // of those before settled
}

var _ otel.ErrorHandler = (*complaints)(nil)

// listen replaces the library's own receivers. They write to standard error, the
// logger with the value of a header that it cannot parse.
func listen(log *slog.Logger) *complaints {
	c := &complaints{log: log, warn: rate.Sometimes{Interval: warnEvery}}
	otel.SetErrorHandler(c)
	otel.SetLogger(logr.New(sink{c}))
	return c
}

// Handle implements [otel.ErrorHandler].
func (c *complaints) Handle(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.settled {
		if c.first == nil {
			c.first = err
		}
		return
	}
	c.warn.Do(func() { c.log.Warn("traces are lost", "error", cause(err)) })
}

// settle ends the time of settings, and returns the first that was wrong.
func (c *complaints) settle() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settled = true
	return c.first
}

var statusIn = regexp.MustCompile(`: ([1-5][0-9][0-9]) `)

// cause is what may be said of an error: nothing that the collector wrote, as it
// may repeat the credentials that it was sent.
func cause(err error) string {
	if broken, ok := errors.AsType[*net.OpError](err); ok {
		return broken.Error()
	}
	_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
	status := statusIn.FindStringSubmatch(err.Error())
	switch {
	case unverified:
		return "the TLS certificate of the collector does not verify"
	case errors.Is(err, errRedirect):
		return errRedirect.Error()
	case status != nil:
		return "the collector answered with status " + status[1]
	case errors.Is(err, context.DeadlineExceeded):
		return "the collector has not answered in time"
	}
	return "the collector is failing or refuses spans"
}

// sink passes the text of the library's own errors on, without the values that
// go with it.
type sink struct{ complaints *complaints }

func (sink) Init(logr.RuntimeInfo)               {}
func (sink) Enabled(int) bool                    { return false } // of what is no error
func (sink) Info(int, string, ...any)            {}
func (s sink) WithValues(...any) logr.LogSink    { return s }
func (s sink) WithName(string) logr.LogSink      { return s }
func (s sink) Error(_ error, m string, _ ...any) { s.complaints.Handle(errors.New(m)) }
