package maa

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"skr/attest"
	"skr/internal/refusal"
)

// maxAnswer bounds an answer in bytes. A key set has some 100 KB.
const maxAnswer = 1 << 20

// HTTPClient sends the requests to authorities. An [*http.Client] is one. This package does
// not retry: a client that does returns the last error.
type HTTPClient interface {
	Do(request *http.Request) (*http.Response, error)
}

var _ HTTPClient = (*http.Client)(nil)

// sender reads what an authority answers to its end or to the bound.
type sender struct{ http HTTPClient }

// answer is of a status that another attempt would not change.
type answer struct {
	status int
	body   []byte
}

func (s sender) send(ctx context.Context, authority attest.Authority, method, address string, header http.Header, body []byte) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	request.Header = header
	request.Header.Set("Accept", "application/json")
	got, err := s.http.Do(request)
	if err != nil {
		return nil, unreachable(ctx, authority, err)
	}
	defer got.Body.Close() //nolint:errcheck // it has been read
	if err := checkAnswerer(authority, request, got); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(got.Body, maxAnswer+1))
	if err != nil {
		return nil, unreachable(ctx, authority, err)
	}
	if len(text) > maxAnswer {
		return nil, untrusted(authority, fmt.Sprintf("its answer has more than %d bytes", maxAnswer), nil)
	}
	return &answer{got.StatusCode, text}, nil
}

// checkAnswerer refuses an answer to which a redirect led, since an authority vouches for its
// own keys only, and one that another attempt may change.
func checkAnswerer(authority attest.Authority, asked *http.Request, got *http.Response) error {
	if from := got.Request; from != nil && (from.URL.Scheme != asked.URL.Scheme || from.URL.Host != asked.URL.Host) {
		return untrusted(authority, "it redirects to another host", nil)
	}
	complaint := fmt.Sprintf("attestation service %s answered with status %d", authority, got.StatusCode)
	switch status := got.StatusCode; {
	case status == http.StatusTooManyRequests:
		return refusal.Newf(refusal.Throttled, "%s; try again later", complaint)
	case status == http.StatusRequestTimeout || status >= http.StatusInternalServerError:
		return refusal.Newf(refusal.Unavailable, "%s; try again later", complaint)
	}
	return nil
}

// unreachable is [ErrUnavailable], unless err is a refusal or the request's context ended.
func unreachable(ctx context.Context, authority attest.Authority, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return refusal.Because(refusal.Unavailable, "attestation service "+authority.String()+" cannot be reached", err)
}
