package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"syscall"
	"time"

	"skr/internal/azure/httpclient"
	"skr/internal/refusal"
)

const (
	// clockWarning and clockFailure are differences to a service's clock. Tokens
	// are taken within a minute of their times (attest/maa).
	clockWarning = 20 * time.Second
	clockFailure = time.Minute
)

// Asker sends a request.
type Asker interface {
	Do(ctx context.Context, request httpclient.Request) (*httpclient.Response, error)
}

func (e *examination) endpointChecks(endpoint Endpoint) []check {
	var seen http.Header
	checks := []check{{
		name: reach, subject: endpoint.Name,
		look: func(ctx context.Context) (finding, error) {
			answer, err := endpoint.HTTP.Do(ctx, httpclient.Request{URL: endpoint.URL})
			if err != nil {
				return unreached(err)
			}
			seen = answer.Header
			return good("resolved, connected and answered with status %d", answer.Status)
		},
	}}
	if endpoint.Clock {
		checks = append(checks, check{
			name: clock, subject: endpoint.Name, needs: []string{reach},
			look: func(context.Context) (finding, error) { return e.compareClock(seen) },
		})
	}
	return checks
}

// unreached says at which step a service is out of reach.
func unreached(err error) (finding, error) {
	for _, step := range []struct {
		is       func(error) bool
		evidence string
	}{
		{isA[*net.DNSError], "its name does not resolve"},
		{isA[x509.UnknownAuthorityError], "its TLS certificate is not by a CA that is trusted here"},
		{isA[x509.HostnameError], "its TLS certificate is for another name"},
		{isA[x509.CertificateInvalidError], "its TLS certificate is not valid now"},
		{errorIs(syscall.ECONNREFUSED), "nothing listens there"},
		{errorIs(syscall.ECONNRESET), "the connection is torn down"},
		{errorIs(refusal.Timeout), "it does not answer in time"},
		{errorIs(context.DeadlineExceeded), "it does not answer in time"},
	} {
		if step.is(err) {
			return finding{Failure, step.evidence, refusal.Advice(err), err}, nil
		}
	}
	return finding{}, err
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func errorIs(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

// compareClock with the Date header, which has whole seconds (RFC 9110 section
// 6.6.1).
func (e *examination) compareClock(header http.Header) (finding, error) {
	theirs, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return skip("the service does not tell its time")
	}
	ahead := e.Now().Sub(theirs).Round(time.Second)
	const fix = "synchronise this machine's clock: tokens are valid by it"
	switch off := ahead.Abs(); {
	case off >= clockFailure:
		return fail(refusal.Untrusted, fix, "this machine's clock is %s the service's", beside(ahead))
	case off >= clockWarning:
		return warn(fix, "this machine's clock is %s the service's", beside(ahead))
	}
	return good("this machine's clock agrees with the service's")
}

func beside(ahead time.Duration) string {
	if ahead < 0 {
		return (-ahead).String() + " behind"
	}
	return ahead.String() + " ahead of"
}
