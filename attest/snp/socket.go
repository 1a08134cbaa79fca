package snp

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"time"
)

const (
	// socketTimeout bounds one exchange, whatever the caller's context allows.
	socketTimeout = 10 * time.Second
	// maxAnswer bounds the answer's body in bytes. A report needs 2381.
	maxAnswer = 8 << 10
	// maxComplaint bounds how much of the peer's error text is quoted.
	maxComplaint = 200
)

// socket requests reports from the process that listens on a Unix socket, by
// HTTP/1.1:
//
//	POST /report {"report_data":"<128 hex digits>"}
//	200 {"report":"<2368 hex digits>"}, else {"error":"<text>"}
//
// The peer is not trusted: the report's signature is verified later.
type socket struct {
	path   string
	client *http.Client
}

var _ fetcher = (*socket)(nil)

func newSocket(path string) *socket {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		DisableKeepAlives:      true, // reports are rare, and the peer may restart
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxAnswer,
	}
	return &socket{path: path, client: &http.Client{Transport: transport, CheckRedirect: refuseRedirect}}
}

func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func (s *socket) String() string { return "unix:" + s.path }

func (s *socket) fetch(ctx context.Context, data ReportData) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, socketTimeout)
	defer cancel()
	request, err := newRequest(ctx, data)
	if err != nil {
		return nil, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the peer: %w", err)
	}
	defer response.Body.Close()              //nolint:errcheck // the answer has been read
	if response.StatusCode < http.StatusOK { // the body of a 101 never ends
		return nil, fmt.Errorf("%w with status %d", ErrService, response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("reading the peer's answer: %w", err)
	}
	return parseAnswer(response.StatusCode, body)
}

func newRequest(ctx context.Context, data ReportData) (*http.Request, error) {
	body, err := json.Marshal(map[string]string{"report_data": data.String()})
	if err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	// The host name is not used: the transport dials the socket.
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://report-socket/report", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	return request, nil
}

// parseAnswer decodes the bytes of the report from the peer's answer.
func parseAnswer(status int, body []byte) ([]byte, error) {
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the peer's answer is longer than %d bytes", maxAnswer)
	}
	var answer struct {
		Report string `json:"report"`
		Error  string `json:"error"`
	}
	err := json.Unmarshal(body, &answer)
	switch {
	case status != http.StatusOK && answer.Error == "":
		return nil, fmt.Errorf("%w %d: %q", ErrService, status, shorten(string(body)))
	case answer.Error != "":
		return nil, fmt.Errorf("%w %d: %q", ErrService, status, shorten(answer.Error))
	case err != nil:
		return nil, fmt.Errorf("decoding the peer's answer: %w", err)
	case len(answer.Report) != hex.EncodedLen(ReportSize):
		return nil, fmt.Errorf("the peer's report has %d hex digits, want %d", len(answer.Report), hex.EncodedLen(ReportSize))
	}
	raw, err := hex.DecodeString(answer.Report)
	if err != nil {
		return nil, fmt.Errorf("decoding the peer's report: %w", err)
	}
	return raw, nil
}

// longRun matches what may be evidence in the peer's error text.
var longRun = regexp.MustCompile(`[A-Za-z0-9+/_=-]{40,}`)

func shorten(text string) string {
	text = longRun.ReplaceAllString(text, "[redacted]")
	if len(text) <= maxComplaint {
		return text
	}
	return text[:maxComplaint] + "..."
}
