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
	"skr/internal/check"
	"skr/internal/refusal"
)

const (
	// clockWarning and clockFailure are differences from a service's clock. attest/maa
	// accepts tokens within a minute of their times.
	clockWarning = 20 * time.Second
	clockFailure = time.Minute
)

func (e *examination) endpointSteps(endpoint Endpoint) []step {
	var seen http.Header
	steps := []step{{
		name: reach, subject: endpoint.Name,
		look: func(ctx context.Context) (check.Result, error) {
			answer, err := endpoint.HTTP.Do(ctx, httpclient.Request{URL: endpoint.URL})
			if err != nil {
				return unreached(err)
			}
			seen = answer.Header
			return good("resolved, connected and answered with status %d", answer.Status)
		},
	}}
	if endpoint.Clock {
		steps = append(steps, step{
			name: clock, subject: endpoint.Name, needs: []string{reach},
			look: func(context.Context) (check.Result, error) { return e.compareClock(seen) },
		})
	}
	return steps
}

// unreached returns the stage at which a service could not be reached.
func unreached(err error) (check.Result, error) {
	if found := stage(err); found != "" {
		return check.Result{Outcome: check.Failed, Found: found, Fix: refusal.Advice(err), Err: err}, nil
	}
	return check.Result{}, err
}

// stage describes where a connection failed; "" if err has another reason.
func stage(err error) string {
	for _, stage := range []struct {
		is    func(error) bool
		found string
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
		if stage.is(err) {
			return stage.found
		}
	}
	return ""
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func errorIs(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

// compareClock compares our clock with the Date header, which has whole seconds (RFC 9110
// section 6.6.1).
func (e *examination) compareClock(header http.Header) (check.Result, error) {
	theirs, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return skip("the service's answer has no Date header")
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
