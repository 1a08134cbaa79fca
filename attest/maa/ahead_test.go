package maa

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"skr/internal/azure/httpclient"
	"skr/internal/refusal"
)

// slowSender delays a request for a token until all other goroutines are blocked. It
// records the order of requests. All requests fail.
type slowSender struct {
	mu   sync.Mutex
	came []string
}

func (s *slowSender) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		synctest.Wait()
	}
	s.mu.Lock()
	s.came = append(s.came, r.Method)
	s.mu.Unlock()
	if r.Method == http.MethodPost {
		httptrace.ContextClientTrace(r.Context()).WroteRequest(httptrace.WroteRequestInfo{})
		synctest.Wait()
	}
	return &http.Response{StatusCode: http.StatusForbidden, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
}

// The client asks for the signing keys after it sends the request for the token and
// before the answer arrives.
func TestKeysComeAfterTheRequest(t *testing.T) {
	authority := newService(t).authority
	evidence := newEvidence(t, runtimeData)
	synctest.Test(t, func(t *testing.T) {
		sender := new(slowSender)
		client := New(Config{HTTP: httpclient.New(httpclient.Config{Transport: sender}).Transporter()})
		if _, err := client.Appraise(t.Context(), authority, evidence); !errors.Is(err, refusal.AttestationRejected) {
			t.Errorf("got %v", err)
		}
		if len(sender.came) < 2 || sender.came[0] != http.MethodPost || sender.came[1] != http.MethodGet {
			t.Errorf("the order of requests is %q", sender.came)
		}
	})
}
