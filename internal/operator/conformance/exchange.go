package conformance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"skr/api"
	"skr/internal/refusal"
)

const (
	maxAnswer       = 1 << 20  // bytes; usual answers are below 64 KiB
	maxHeader       = 64 << 10 // bytes
	headerRequestID = "X-Request-Id"
)

// answer is what a sidecar answered.
type answer struct {
	status    int
	header    http.Header
	body      api.Secret // may hold a key; valid until wipe
	requestID string     // of the request
	took      time.Duration
}

// wipe clears the body. A nil answer has none.
func (a *answer) wipe() {
	if a != nil {
		a.body.Wipe()
	}
}

// failure is why a request has no answer that can be judged.
type failure struct {
	kind  *refusal.Kind
	text  string // without what the sidecar sent
	stops bool   // no more requests are sent
}

// sender sends the requests. All answers are read into one buffer, which is wiped in between.
type sender struct {
	address Address
	client  *http.Client
	buffer  []byte
}

func newSender(a Address) *sender {
	return &sender{a, a.client(), make([]byte, maxAnswer+1)}
}

// send sends a request and reads its answer.
func (s *sender) send(ctx context.Context, timeout time.Duration, p probe, number int) (*answer, *failure) {
	sending, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := p.request(sending, s.address.base)
	if err != nil {
		return nil, &failure{kind: refusal.BadRequest, text: "this request cannot be made"}
	}
	a := &answer{requestID: fmt.Sprintf("conformance-%d", number)}
	request.Header.Set(headerRequestID, a.requestID)
	start := time.Now()
	got, err := s.client.Do(request)
	if err != nil {
		return nil, failed(err, timeout)
	}
	defer got.Body.Close() //nolint:errcheck // it has been read
	n, err := s.read(got.Body)
	a.took, a.status, a.header, a.body = time.Since(start), got.StatusCode, got.Header, s.buffer[:n:n]
	switch {
	case err != nil:
		a.wipe()
		return nil, failed(err, timeout)
	case n > maxAnswer:
		a.wipe()
		return nil, &failure{kind: refusal.Untrusted, text: fmt.Sprintf("the answer is longer than %d bytes", maxAnswer)}
	case isRedirect(a.status):
		a.wipe()
		return nil, &failure{kind: refusal.Untrusted, text: fmt.Sprintf("the answer is a redirect (%d), which is not followed", a.status)}
	}
	return a, nil
}

// read fills the buffer until the end of the body.
func (s *sender) read(body io.Reader) (n int, err error) {
	for n < len(s.buffer) {
		more, err := body.Read(s.buffer[n:])
		n += more
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func isRedirect(status int) bool { return status >= 300 && status < 400 }

// failed tells a slow sidecar from one that cannot be reached or closes the connection. The text of
// err stays out: it holds the URL and may repeat what the sidecar sent.
func failed(err error, timeout time.Duration) *failure {
	dialing, isOperation := errors.AsType[*net.OpError](err)
	_, isUnknown := errors.AsType[*net.DNSError](err)
	_, isUntrusted := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{refusal.Timeout, fmt.Sprintf("no complete answer within %s", timeout), true}
	case errors.Is(err, context.Canceled):
		return &failure{refusal.Timeout, "interrupted", true}
	case isUntrusted:
		return &failure{refusal.Untrusted, "this machine does not trust the sidecar's certificate", false}
	case isUnknown: // the error has the name of the host
		return &failure{refusal.Unavailable, "cannot connect: the name of the sidecar's host does not resolve", false}
	case isOperation && dialing.Op == "dial":
		return &failure{refusal.Unavailable, "cannot connect: " + dialing.Err.Error(), false}
	}
	return &failure{refusal.Untrusted, "the connection ended without a complete HTTP answer", false}
}

// request makes the HTTP request.
func (p probe) request(ctx context.Context, base string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, p.method, base+p.path, strings.NewReader(p.body))
	if err != nil {
		return nil, err
	}
	if p.method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, value := range p.header {
		request.Header.Set(name, value)
	}
	if p.host != "" {
		request.Host = p.host
	}
	return request, nil
}
