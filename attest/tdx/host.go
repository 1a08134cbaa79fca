package tdx

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"skr/internal/strictjson"
)

// ErrNoQuote means that the host returned no quote of the report.
var ErrNoQuote = errors.New("no TDX quote")

// maxHostAnswer bounds the answer of the host in bytes. A quote has 6.7 kB in base64.
const maxHostAnswer = 128 << 10

// Host is the endpoint of an Azure host that has its quoting enclave make quotes of TD reports
// (kinvolk/azure-cvm-tooling, az-tdx-vtpm, imds.rs; Azure/cvm-attestation-tools).
type Host struct {
	client HTTPClient
	url    string
}

// NewHost returns the endpoint at url, on Azure http://169.254.169.254/acc/tdquote. The client
// must not use a proxy, because the address is link-local. Host does not retry: a client that
// does returns the last error.
func NewHost(client HTTPClient, url string) *Host { return &Host{client, url} }

// Quote returns the quote of a TD report of this machine. It checks that the quote was made from
// the report, and does not verify it: see [Quote.Verify]. The error wraps [ErrNoQuote] and, if
// that is the reason, [ErrMalformed], [ErrOtherReport] or the context's error.
func (h *Host) Quote(ctx context.Context, report *Report) (*Quote, error) {
	raw, err := h.ask(ctx, report)
	var q *Quote
	if err == nil {
		q, err = ParseQuote(raw)
	}
	if err == nil {
		err = q.CheckReport(report)
	}
	if err != nil {
		return nil, fmt.Errorf("%w from the host: %w", ErrNoQuote, err)
	}
	return q, nil
}

func (h *Host) ask(ctx context.Context, report *Report) ([]byte, error) {
	body, err := json.Marshal(map[string]string{"report": base64.RawURLEncoding.EncodeToString(report.raw[:])})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the URL is malformed")
	}
	// The host answers 415 to a content type with a charset (kinvolk/azure-cvm-tooling, pull
	// request 91).
	request.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "Metadata": {"true"}}
	answer, err := h.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close() //nolint:errcheck // it has been read
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered with status %d", answer.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxHostAnswer+1))
	if err == nil && len(text) > maxHostAnswer {
		err = fmt.Errorf("the answer has more than %d bytes", maxHostAnswer)
	}
	if err != nil {
		return nil, err
	}
	return decodeAnswer(text)
}

// decodeAnswer reads {"quote":"…"} in base64 of either alphabet, with or without padding.
func decodeAnswer(text []byte) ([]byte, error) {
	var answer struct {
		Quote string `json:"quote"`
	}
	if err := (strictjson.Decoder{}).Decode(text, &answer); err != nil {
		return nil, fmt.Errorf("the answer %w", err)
	}
	if answer.Quote == "" {
		return nil, errors.New("the answer has no quote")
	}
	compact := strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(answer.Quote, "="))
	raw, err := base64.RawURLEncoding.DecodeString(compact)
	if err != nil {
		return nil, errors.New("the quote in the answer is not base64")
	}
	return raw, nil
}
