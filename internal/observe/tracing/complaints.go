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

// warnEvery is the interval of warnings about a collector.
const warnEvery = time.Minute

var errRedirect = errors.New("the collector answered with a redirect, which is not followed")

// complaints receives the errors of the library. Until New ends they concern settings, and New returns
// the first; later they concern the collector and are logged as warnings.
type complaints struct {
	log  *slog.Logger
	warn rate.Sometimes

	mu      sync.Mutex
	settled bool
	first   error // the first error before settled
}

var _ otel.ErrorHandler = (*complaints)(nil)

// listen replaces the receivers of the library. Those write to standard error, and the logger also
// writes the value of a header that it cannot parse.
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

// settle marks the end of New and returns the first error.
func (c *complaints) settle() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settled = true
	return c.first
}

var statusIn = regexp.MustCompile(`: ([1-5][0-9][0-9]) `)

// cause returns the part of an error that may be logged. It contains no text of the collector, which may
// repeat the credentials that it received.
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
		return "the collector did not answer in time"
	}
	return "the collector is failing or refuses spans"
}

// sink passes on the text of the library's errors, without their values.
type sink struct{ complaints *complaints }

func (sink) Init(logr.RuntimeInfo)               {}
func (sink) Enabled(int) bool                    { return false } // only errors are of interest
func (sink) Info(int, string, ...any)            {}
func (s sink) WithValues(...any) logr.LogSink    { return s }
func (s sink) WithName(string) logr.LogSink      { return s }
func (s sink) Error(_ error, m string, _ ...any) { s.complaints.Handle(errors.New(m)) }
